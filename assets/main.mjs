/**
 * Everything that runs in the browser, imported before Dash starts (app/web/dash/javascript_modules.py): the components that Dash draws
 * hang on `window.mloscope`, the clientside callbacks on `window.dash_clientside`. All other names are modules' own.
 */
import "mloscope/base/asking_again.mjs"; // patches fetch, which Dash uses
import "mloscope/shell/first_address.mjs";
import "mloscope/shell/opening.mjs"; // hears of another subject before everything else
import "mloscope/shell/chart_export.mjs";
import "mloscope/shell/controls.mjs";
import "mloscope/shell/hints.mjs";
import "mloscope/shell/page_links.mjs";
import "mloscope/shell/ridges.mjs";
import "mloscope/shell/time_cursor.mjs";
import "mloscope/shell/title.mjs";
import "mloscope/shell/user_menu.mjs";
import "mloscope/shell/view_parts.mjs";
import "mloscope/shell/workspace.mjs";
import { BasisLine } from "mloscope/basis/line.mjs";
import { ClusterImages } from "mloscope/clusters/images.mjs";
import { PointMap } from "mloscope/clusters/point_map.mjs";
import { ClusterRows } from "mloscope/clusters/rows.mjs";
import { ComparisonConfusion } from "mloscope/compare/confusion.mjs";
import { ComparisonLayers, ComparisonPredictions } from "mloscope/compare/panels.mjs";
import { Comparison } from "mloscope/compare/toolbar.mjs";
import { ConfusionCell } from "mloscope/confusion/cell.mjs";
import { ConfusionChanges } from "mloscope/confusion/changes.mjs";
import { ConfusionMatrix } from "mloscope/confusion/matrix.mjs";
import { ConfusionPairs } from "mloscope/confusion/pairs.mjs";
import { ConfusionAccuracy, ConfusionTools } from "mloscope/confusion/tools.mjs";
import { FilmCanvas } from "mloscope/films/canvas.mjs";
import { ImageCard } from "mloscope/images/card.mjs";
import { PinTray } from "mloscope/films/pins.mjs";
import { ImageGrid } from "mloscope/images/grid.mjs";
import { PredictionBars } from "mloscope/images/prediction_bars.mjs";
import { LabBars, LabFilms, LabLayer } from "mloscope/lab/answers.mjs";
import { LabChanges } from "mloscope/lab/controls.mjs";
import { LabPicture } from "mloscope/lab/picture.mjs";
import { LabSweep } from "mloscope/lab/sweep.mjs";
import { NetworkGraph } from "mloscope/network/graph.mjs";
import { RunChoice } from "mloscope/runs/choice.mjs";
import { RunPicker } from "mloscope/runs/picker.mjs";
import { RunTable } from "mloscope/runs/table.mjs";
import { Chart } from "mloscope/shell/chart.mjs";
import { Fold } from "mloscope/shell/fold.mjs";
import { KeyMap } from "mloscope/shell/key_map.mjs";
import { PanelEdge } from "mloscope/shell/panel_edge.mjs";
import { TimeSlider } from "mloscope/shell/time_slider.mjs";
import { ViewSelect } from "mloscope/shell/view_select.mjs";
import { StatisticsState } from "mloscope/statistics/state.mjs";
import { UnitFilm } from "mloscope/unit/film.mjs";
import { UnitHead } from "mloscope/unit/head.mjs";
import { UnitPatches } from "mloscope/unit/patches.mjs";
import { SavedViews } from "mloscope/views/dialog.mjs";

window.mloscope = {
  BasisLine,
  Chart,
  ClusterImages,
  ClusterRows,
  Comparison,
  ComparisonConfusion,
  ComparisonLayers,
  ComparisonPredictions,
  ConfusionAccuracy,
  ConfusionCell,
  ConfusionChanges,
  ConfusionMatrix,
  ConfusionPairs,
  ConfusionTools,
  FilmCanvas,
  Fold,
  ImageCard,
  ImageGrid,
  KeyMap,
  LabBars,
  LabChanges,
  LabFilms,
  LabLayer,
  LabPicture,
  LabSweep,
  NetworkGraph,
  PanelEdge,
  PinTray,
  PointMap,
  PredictionBars,
  RunChoice,
  RunPicker,
  RunTable,
  SavedViews,
  StatisticsState,
  TimeSlider,
  UnitFilm,
  UnitHead,
  UnitPatches,
  ViewSelect,
};
