"""Every reader, against real files that have been damaged: see docs/fuzzing.md. Run as ``make fuzz``."""
