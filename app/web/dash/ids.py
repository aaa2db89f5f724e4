"""Ids of the shell that callbacks and scripts refer to; those of a page stand in its own module. JS: scripts write them too."""

SUBJECT = "subject"  # JS. Store: run, corpus, checkpoints, layers, evaluation. One writer: shell.describe_subject
CONNECTIONS = "connections"  # JS. Store: when the subject was asked for again. One writer: assets/shell/workspace.mjs
SETTLED_TIME = "settled-time"  # JS. Store {"step", "index"}. One writer: assets/base/time_bus.mjs
VIEW = "view"  # JS. Store: the hash as a dict. One writer: assets/base/view.mjs
NOTICES = "notices"  # JS
TIME_SLIDER = "time-slider"  # JS: the native range input
TIMELINE = "timeline"
IMAGE_CARD = "image-card"
BASIS = "basis"
RUN_CHOICE = "run-choice"
CORPUS_CHOICE = "corpus-choice"
THEME = "theme"  # Store: "light" or "dark". One writer: assets/shell/controls.mjs
THEME_SWITCH = "theme-switch"
SHARE = "share"
SAVED_VIEWS = "saved-views"
HELP = "help"  # JS: the key "?" presses it
KEY_MAP = "key-map"
