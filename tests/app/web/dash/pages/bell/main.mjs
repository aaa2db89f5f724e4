import { view } from "mloscope/base/view.mjs";
import { ring } from "mloscope/pages/bell/inner/ring.mjs";

ring(view.get().mode);
