"""Run every reader on damaged copies of real files: see docs/fuzzing.md. Run as ``make fuzz``."""
