/**
 * Points drawn on a canvas, all again for every frame: `pointDraw`. WebGL where a graphics processor draws it, else pixels written by hand.
 *
 * Both take the same frame: x and y in codes of the map (int16), a group for each point (uint8: which colour), and two colours for
 * each group. Points of a higher level are drawn over those of a lower one.
 */
import { context2d } from "mloscope/base/canvas.mjs";

const NO_COORDINATE = -32768;
const GROUPS = 256;
const DRAWING = `#version 300 es
  in vec2 place; in uint group;
  uniform sampler2D palette; uniform vec2 scale; uniform vec2 offset; uniform float size; uniform float level;
  out vec4 colour;
  void main() {
    vec4 found = texelFetch(palette, ivec2(int(group), 0), 0);
    bool raised = texelFetch(palette, ivec2(int(group), 1), 0).r > 0.5;
    bool drawn = place.x > -32767.5 && raised == (level > 0.5);
    gl_Position = vec4(drawn ? place * scale + offset : vec2(9.0), 0.0, 1.0);
    gl_PointSize = size;
    colour = found;
  }`;
const COLOURING = `#version 300 es
  precision highp float;
  in vec4 colour; uniform float size; out vec4 pixel;
  void main() {
    float away = length(gl_PointCoord - 0.5) * size;
    float cover = clamp(size * 0.5 - away + 0.5, 0.0, 1.0);
    pixel = vec4(colour.rgb * colour.a, colour.a) * cover;
  }`;

/** @typedef {{x: Int16Array, y: Int16Array, group: Uint8Array, palette: Uint8Array, raised: Uint8Array, box: any, size: number}} Frame
 *  palette: red, green, blue, alpha of each of 256 groups; raised: 1 for groups drawn over the others; box: where codes lie on the
 *  canvas, {x, y, width, height} in its pixels; size: of a point, in its pixels */

class WithWebGL {
  /** @type {any} */ place;
  /** @type {any} */ places;
  /** @type {any} */ groups;
  /** @type {any} */ x;
  /** @type {any} */ last;
  /** @type {any} */ both;
  /** @type {any} */ canvas;
  /** @type {any} */ gl;
  /** @type {any} */ kind;
  /** @type {any} */ y;

  static make(canvas) {
    const gl = canvas.getContext("webgl2", { alpha: true, antialias: false, premultipliedAlpha: true, preserveDrawingBuffer: true });
    return gl ? new WithWebGL(canvas, gl) : null;
  }

  constructor(canvas, gl) {
    Object.assign(this, { canvas, gl, kind: "webgl", x: null });
    this.build();
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.build();
      if (this.last) this.draw(this.last);
    });
  }

  build() {
    const { gl } = this;
    const program = gl.createProgram();
    for (const [kind, text] of [
      [gl.VERTEX_SHADER, DRAWING],
      [gl.FRAGMENT_SHADER, COLOURING],
    ]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.bindAttribLocation(program, 0, "place");
    gl.bindAttribLocation(program, 1, "group");
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
      throw new Error(`The map's drawing program does not work here: ${gl.getProgramInfoLog(program)}`);
    }
    gl.useProgram(program);
    this.place = Object.fromEntries(
      ["palette", "scale", "offset", "size", "level"].map((name) => [name, gl.getUniformLocation(program, name)]),
    );
    this.places = gl.createBuffer();
    this.groups = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.places);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 2, gl.SHORT, false, 4, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.groups);
    gl.enableVertexAttribArray(1);
    gl.vertexAttribIPointer(1, 1, gl.UNSIGNED_BYTE, 1, 0);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, side, gl.NEAREST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.x = null;
  }

  /** @param {Frame} frame */
  draw(frame) {
    const { gl, canvas, place } = this;
    this.last = frame;
    if (gl.isContextLost()) return;
    if (frame.x !== this.x || frame.y !== this.y) this.sendPlaces(frame);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.groups);
    gl.bufferData(gl.ARRAY_BUFFER, frame.group, gl.STREAM_DRAW);
    const table = new Uint8Array(GROUPS * 8);
    table.set(frame.palette);
    for (let group = 0; group < GROUPS; group += 1) table[(GROUPS + group) * 4] = frame.raised[group] ? 255 : 0;
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, GROUPS, 2, 0, gl.RGBA, gl.UNSIGNED_BYTE, table);
    const { box } = frame;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(place.scale, box.width / 32767 / canvas.width, box.height / 32767 / canvas.height);
    gl.uniform2f(place.offset, ((box.x + box.width / 2) / canvas.width) * 2 - 1, 1 - ((box.y + box.height / 2) / canvas.height) * 2);
    gl.uniform1f(place.size, frame.size);
    for (const level of frame.raised.some(Boolean) ? [0, 1] : [0]) {
      gl.uniform1f(place.level, level);
      gl.drawArrays(gl.POINTS, 0, frame.x.length);
    }
  }

  sendPlaces({ x, y }) {
    const { gl } = this;
    if (!this.both || this.both.length !== x.length * 2) this.both = new Int16Array(x.length * 2);
    for (let point = 0, at = 0; point < x.length; point += 1) {
      this.both[at++] = x[point];
      this.both[at++] = y[point];
    }
    gl.bindBuffer(gl.ARRAY_BUFFER, this.places);
    gl.bufferData(gl.ARRAY_BUFFER, this.both, gl.DYNAMIC_DRAW);
    Object.assign(this, { x, y });
  }
}

/** Whether a graphics processor draws WebGL. Where the processor has to compute it, pixels written by hand are quicker. */
function hasGraphicsProcessor() {
  const gl = document.createElement("canvas").getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  if (!gl) return false;
  const told = gl.getExtension("WEBGL_debug_renderer_info");
  const name = told ? String(gl.getParameter(told.UNMASKED_RENDERER_WEBGL)) : "";
  const lose = gl.getExtension("WEBGL_lose_context");
  if (lose) lose.loseContext();
  return !/swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
}

class WithPixels {
  /** @type {any} */ image;
  /** @type {any} */ pixels;
  /** @type {any} */ canvas;
  /** @type {any} */ context;
  /** @type {any} */ kind;

  static make(canvas) {
    return new WithPixels(canvas, context2d(canvas));
  }

  constructor(canvas, context) {
    Object.assign(this, { canvas, context, kind: "pixels" });
  }

  /** @param {Frame} frame colours are opaque here: where points lie on each other, the last is seen */
  draw({ x, y, group, palette, raised, box, size }) {
    const { canvas, context } = this;
    const { width, height } = canvas;
    if (!this.image || this.image.width !== width || this.image.height !== height) {
      this.image = context.createImageData(width, height);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    const { pixels } = this;
    pixels.fill(0);
    const colours = new Uint32Array(palette.buffer, palette.byteOffset, GROUPS);
    const edge = Math.max(1, Math.round(size));
    const half = edge >> 1;
    const corner = edge > 3 ? 1 : 0; // larger points are round
    const scaleX = box.width / 65534;
    const scaleY = box.height / 65534;
    for (const level of raised.some(Boolean) ? [0, 1] : [0]) {
      for (let point = 0; point < x.length; point += 1) {
        if (x[point] === NO_COORDINATE || raised[group[point]] !== level) continue;
        const left = Math.round(box.x + (x[point] + 32767) * scaleX) - half;
        const top = Math.round(box.y + (32767 - y[point]) * scaleY) - half;
        if (left < 0 || top < 0 || left + edge > width || top + edge > height) continue;
        const colour = colours[group[point]];
        for (let row = 0, line = top * width + left; row < edge; row += 1, line += width) {
          const cut = row === 0 || row === edge - 1 ? corner : 0;
          for (let column = cut; column < edge - cut; column += 1) pixels[line + column] = colour;
        }
      }
    }
    context.putImageData(this.image, 0, 0);
  }
}

export const pointDraw = {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {"webgl"|"pixels"} [kind] to insist on one; otherwise WebGL where a graphics processor draws it
   * @returns {{kind: string, draw: ((a: Frame) => void)}}
   */
  renderer(canvas, kind) {
    const made = kind === "webgl" || (kind !== "pixels" && hasGraphicsProcessor()) ? WithWebGL.make(canvas) : null;
    return made || WithPixels.make(canvas);
  },
};
