"""Ids of everything a callback or a script refers to, once. Ids that appear in JavaScript too are marked."""

# ------------------------------------------------------------------------- the shell: on every page, outlives page changes
SUBJECT = "subject"  # JS. Store: run, corpus, checkpoints, layers, evaluation. One writer: shell.describe_subject
CONNECTIONS = "connections"  # JS. Store: when something else was seen to be connected. One writer: assets/workspace.js
SETTLED_TIME = "settled-time"  # JS. Store {"step", "index"}. One writer: assets/time_bus.js
VIEW = "view"  # JS. Store: the hash as a dict. One writer: assets/url_state.js
NOTICES = "notices"  # JS
TIME_SLIDER = "time-slider"  # JS: the native range input
TIMELINE = "timeline"
BASIS = "basis"
RUN_CHOICE = "run-choice"
CORPUS_CHOICE = "corpus-choice"
THEME = "theme"  # Store: "light" or "dark". One writer: assets/controls.js
THEME_SWITCH = "theme-switch"
SHARE = "share"
HELP = "help"  # JS: the key "?" presses it
KEY_MAP = "key-map"

# ------------------------------------------------------------------------- the main display
UNIT_VIEW = "unit-view"  # JS. Store: what of the view the unit's charts show. One writer: assets/view_parts.js
IMAGE_VIEW = "image-view"  # JS. Store {"image"}. One writer: assets/view_parts.js
NETWORK = "network"
IMAGES = "images"
PREDICTIONS = "predictions"
PREDICTION_COURSE = "prediction-course"
PARAMETER_CANVAS = "parameter-canvas"
FEATURE_CANVAS = "feature-canvas"
LAYER_DETAILS = "layer-details"
UNIT_HEAT_MAP = "unit-heat-map"
UNIT_COURSE = "unit-course"
TRAINING = "training"
TRAINING_COURSE = "training-course"
TRAINING_PROBLEMS = "training-problems"
MODE = "mode"
PARAMETER = "parameter"
COLOUR = "colour"
RANGE = "range"
SYMMETRIC = "symmetric"
LAYOUT = "layout"
UNITS = "units"
UNIT_RULE = "unit-rule"
PREVIOUS_UNITS = "previous-units"
NEXT_UNITS = "next-units"
CHANNELS = "channels"
PREVIOUS_CHANNELS = "previous-channels"
NEXT_CHANNELS = "next-channels"
CHOSEN_UNITS = "chosen-units"  # Store: units chosen by a rule. One writer: main_display.choose_units

# ------------------------------------------------------------------------- compare
COMPARISON = "comparison"
COMPARE_SETTLED = "compare-settled"  # JS. Store: side B when all rests. One writer: assets/compare_state.js
COMPARE_LAYERS = "compare-layers"
COMPARE_PREDICTIONS = "compare-predictions"
COMPARE_CONFUSION = "compare-confusion"
COMPARE_IMAGES = "compare-images"
COMPARE_SUMMARY = "compare-summary"
COMPARE_SCATTER = "compare-scatter"
COMPARE_CHANGE = "compare-change"
COMPARE_UNIT = "compare-unit"
COMPARE_TRAINING = "compare-training"
COMPARE_METRIC = "compare-metric"

# ------------------------------------------------------------------------- the confusion matrix
STATISTICS_STATE = "statistics-state"
STATISTICS_READY = (
    "statistics-ready"  # JS. Store: which statistics are ready, in one word. One writer: assets/confusion_state.js
)
CONFUSION_VIEW = "confusion-view"  # JS. Store: split and actual class of the view. One writer: assets/view_parts.js
CONFUSION_MATRIX = "confusion-matrix"
CONFUSION_TOOLS = "confusion-tools"
CONFUSION_ACCURACY = "confusion-accuracy"
CONFUSION_COURSE = "confusion-course"
CONFUSION_PAIRS = "confusion-pairs"
CONFUSION_CELL = "confusion-cell"
CONFUSION_CHANGES = "confusion-changes"

# ------------------------------------------------------------------------- the clusters
CLUSTERS_READY = (
    "clusters-ready"  # JS. Store: which clusters there are, in one word. One writer: assets/cluster_rows.js
)
CLUSTER_VIEW = "cluster-view"  # JS. Store: split and cluster of the view. One writer: assets/view_parts.js
CLUSTER_ROWS = "cluster-rows"
CLUSTER_IMAGES = "cluster-images"
CLUSTER_COURSE = "cluster-course"
POINT_MAP = "point-map"
