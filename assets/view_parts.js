/**
 * Parts of the view, for charts that show no more of it: choosing an image must not have the unit's charts drawn anew.
 *
 *     Store "view" ──viewParts─────┬──► Store "unit-view"       layer, unit, array, mode, scale; the image where its maps are shown
 *                  │               └──► Store "image-view"      the image
 *                  ├─confusionPart────► Store "confusion-view"  split, actual class
 *                  └─clusterPart──────► Store "cluster-view"    split, cluster
 *
 * A part that stays as it is is not written, and callbacks that take it are not called.
 */
(() => {
  "use strict";
  const clientside = (window.dash_clientside = window.dash_clientside || {});
  const ofUnit = ({ layer, unit, parameter, mode, symmetric, image }) => ({
    layer, unit, parameter, mode, symmetric, image: mode === "features" ? image : "",
  }); // prettier-ignore
  const ofImage = ({ image }) => ({ image });
  const ofConfusion = ({ split, actual }) => ({ split, actual });
  const ofClusters = ({ split, cluster }) => ({ split, cluster });

  /** What of the view is to be written where `held` stands: nothing before a run is open, and nothing anew. */
  function part(view, of, held) {
    const now = view && view.layer ? of(view) : held;
    return JSON.stringify(now) === JSON.stringify(held) ? clientside.no_update : now;
  }

  clientside.mloscopeView = {
    viewParts: (view, unitView, imageView) => [part(view, ofUnit, unitView), part(view, ofImage, imageView)],
    confusionPart: (view, held) => part(view, ofConfusion, held),
    clusterPart: (view, held) => part(view, ofClusters, held),
  };
})();
