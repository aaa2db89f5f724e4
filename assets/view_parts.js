/**
 * Parts of the view, for charts that show no more of it: choosing an image must not have the unit's charts drawn anew.
 *
 *     Store "view" ──viewParts──┬──► Store "unit-view"    layer, unit, array, mode, scale; the image where its maps are shown
 *                               └──► Store "image-view"   the image
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

  clientside.mloscopeView = {
    /** @returns {Object[]} both parts, for whichever has not changed that it is to stay; nothing before a run is open */
    viewParts(view, unitView, imageView) {
      const part = (now, held) => (JSON.stringify(now) === JSON.stringify(held) ? clientside.no_update : now);
      if (!view || !view.layer) return [clientside.no_update, clientside.no_update];
      return [part(ofUnit(view), unitView), part(ofImage(view), imageView)];
    },
  };
})();
