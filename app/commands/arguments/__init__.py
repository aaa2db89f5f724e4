"""What several commands take: single values, groups of flags, and the run and corpus that a command line names."""
