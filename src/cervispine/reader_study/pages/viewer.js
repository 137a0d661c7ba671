// The images: cornerstone3D shows the slices that were acquired, with the values of the scanner.
//
// It draws on the processor, not the graphics card: reading rooms and remote desktops often have
// none that a browser may use, and every reader of a study should see the same.

import * as cs from "/pages/cornerstone.js";
import { bytes } from "/pages/api.js";

const TOOLS = {
  StackScroll: cs.StackScrollTool,
  WindowLevel: cs.WindowLevelTool,
  Zoom: cs.ZoomTool,
  Pan: cs.PanTool,
  Length: cs.LengthTool,
};
const { Primary, Secondary, Auxiliary, Wheel } = cs.ToolEnums.MouseBindings;

const RULER = {
  color: "rgb(214, 190, 110)",
  colorHighlighted: "rgb(240, 220, 150)",
  colorSelected: "rgb(240, 220, 150)",
  textBoxColor: "rgb(214, 190, 110)",
  textBoxColorHighlighted: "rgb(240, 220, 150)",
  textBoxColorSelected: "rgb(240, 220, 150)",
};

// Of the drag tools: what the other buttons and two fingers always do.
const ALWAYS = {
  Zoom: [{ mouseButton: Secondary }, { numTouchPoints: 2 }],
  Pan: [{ mouseButton: Auxiliary }],
  StackScroll: [{ mouseButton: Wheel }],
};

export class Viewer {
  #element;
  #viewport;
  #group;
  #loaded = new Map();
  #current = null;
  #tool = null;
  #ruler = null;

  constructor(element, changed) {
    this.#element = element;
    this.changed = changed;
  }

  async start() {
    await cs.initCore({ rendering: { useCPURendering: true } });
    await cs.initTools();
    cs.metaData.addProvider((type) => (type === "generalSeriesModule" ? { modality: "MR" } : undefined), 10);
    const engine = new cs.RenderingEngine("engine");
    engine.enableElement({
      viewportId: "view",
      type: cs.Enums.ViewportType.STACK,
      element: this.#element,
      defaultOptions: { background: [0, 0, 0] },
    });
    this.#viewport = engine.getViewport("view");
    this.#group = cs.ToolGroupManager.createToolGroup("tools");
    for (const [name, tool] of Object.entries(TOOLS)) {
      cs.addTool(tool);
      this.#group.addTool(name);
    }
    this.#group.addViewport("view", "engine");
    this.use(matchMedia("(pointer: coarse)").matches ? "StackScroll" : "WindowLevel");
    this.#element.addEventListener(cs.Enums.Events.VOI_MODIFIED, () => this.#keepWindow());
    this.#element.addEventListener(cs.Enums.Events.IMAGE_RENDERED, () => this.changed());
    const { style } = cs.annotation.config;
    const usual = style.getDefaultToolStyles();
    style.setDefaultToolStyles({ ...usual, global: { ...usual.global, ...RULER } });
    new ResizeObserver(() => {
      if (this.#element.clientWidth && this.#element.clientHeight) engine.resize(true, true);
    }).observe(this.#element);
  }

  // Fetches and unpacks all images of a case; done once, however often it is asked for.
  load(shown) {
    if (!this.#loaded.has(shown.id)) {
      const loading = Promise.all(shown.images.map((image) => this.#fetch(shown.id, image)));
      loading.catch(() => this.#loaded.delete(shown.id));
      this.#loaded.set(shown.id, loading);
    }
    return this.#loaded.get(shown.id);
  }

  async show(shown) {
    this.clearRulers();
    const series = await this.load(shown);
    this.#current = { id: shown.id, series, place: 0, windows: series.map((one) => one.window) };
    await this.#display(Math.floor(series[0].ids.length / 2));
  }

  // Forgets every case but these.
  keep(ids) {
    for (const [id, loading] of this.#loaded) {
      if (ids.includes(id)) continue;
      this.#loaded.delete(id);
      loading.then(
        (series) => series.flatMap((one) => one.ids).forEach((image) => cs.cache.removeImageLoadObject(image)),
        () => {},
      );
    }
  }

  get facts() {
    if (!this.#current) return null;
    const { lower, upper } = this.#viewport.getProperties().voiRange ?? { lower: 0, upper: 1 };
    return {
      place: this.#current.place,
      sequences: this.#current.series.map((one) => one.sequence),
      slice: this.#viewport.getCurrentImageIdIndex(),
      slices: this.#series.ids.length,
      lower,
      upper,
      zoom: this.#viewport.getZoom() ?? 1,
      tool: this.#tool,
    };
  }

  use(tool) {
    this.#tool = tool;
    for (const name of Object.keys(TOOLS)) {
      const bindings = [...(ALWAYS[name] ?? [])];
      if (name === tool) bindings.push({ mouseButton: Primary }, { numTouchPoints: 1 });
      // What a tool is given is added to what it has.
      this.#group.setToolPassive(name, { removeAllBindings: true });
      if (bindings.length) this.#group.setToolActive(name, { bindings });
    }
    this.changed();
  }

  async slice(index) {
    const last = this.#series.ids.length - 1;
    await this.#viewport.setImageIdIndex(Math.max(0, Math.min(last, index)));
  }

  step(by) {
    return this.slice(this.#viewport.getCurrentImageIdIndex() + by);
  }

  async sequence(place) {
    const { series } = this.#current;
    if (series.length < 2) return;
    const before = this.facts;
    const { focalPoint, parallelScale } = this.#viewport.getCamera();
    this.#current.windows[before.place] = { lower: before.lower, upper: before.upper };
    this.#current.place = (place + series.length) % series.length;
    const slices = this.#series.ids.length;
    await this.#display(Math.round((before.slice / Math.max(1, before.slices - 1)) * (slices - 1)));
    this.#viewport.setCamera({ focalPoint, parallelScale });
    this.#viewport.render();
  }

  // Level and width by a share of the window.
  window(level, width) {
    const { lower, upper } = this.facts;
    const centre = (lower + upper) / 2 + level * (upper - lower);
    const half = Math.max(((upper - lower) / 2) * (1 + width), 0.5);
    this.#viewport.setProperties({ voiRange: { lower: centre - half, upper: centre + half } });
    this.#viewport.render();
  }

  zoom(factor) {
    this.#viewport.setZoom(Math.max(0.2, Math.min(30, this.#viewport.getZoom() * factor)));
    this.#viewport.render();
  }

  move(x, y) {
    const { clientWidth: width, clientHeight: height } = this.#element;
    this.#viewport.setCamera({ focalPoint: this.#viewport.canvasToWorld([width / 2 - x, height / 2 - y]) });
    this.#viewport.render();
  }

  reset() {
    this.clearRulers();
    this.#viewport.resetCamera();
    this.#viewport.setProperties({ voiRange: { ...this.#series.window } });
    this.#viewport.render();
  }

  clearRulers() {
    this.#ruler = null;
    cs.annotation.state.removeAllAnnotations();
  }

  // A ruler by keys: the first call begins it in the middle of what is seen, the next ends it.
  rulerByKeys() {
    if (this.#ruler) {
      this.#ruler = null;
      return;
    }
    const { clientWidth: width, clientHeight: height } = this.#element;
    const points = [-20, 20].map((x) => this.#viewport.canvasToWorld([width / 2 + x, height / 2]));
    const annotationUID = crypto.randomUUID?.() ?? String(Math.random());
    cs.LengthTool.hydrate("view", points, { annotationUID });
    this.#ruler = cs.annotation.state.getAnnotation(annotationUID);
    // What the tool itself gives a ruler that is drawn by hand.
    Object.assign(this.#ruler.data, { cachedStats: {}, label: "" });
    this.#ruler.data.handles.textBox = { hasMoved: false, worldPosition: [0, 0, 0], worldBoundingBox: {} };
    this.#viewport.render();
  }

  get measures() {
    return this.#ruler !== null;
  }

  moveRuler(x, y) {
    const { points } = this.#ruler.data.handles;
    const [left, top] = this.#viewport.worldToCanvas(points[1]);
    points[1] = this.#viewport.canvasToWorld([left + x, top + y]);
    this.#ruler.invalidated = true;
    this.#viewport.render();
  }

  get #series() {
    return this.#current.series[this.#current.place];
  }

  // A slice that comes up is drawn with the window of the slice before, but the viewer takes the
  // slice's own for it, and a drag would begin there: so it is made its own.
  #keepWindow() {
    if (!this.#current) return;
    const { lower, upper } = this.#viewport.getProperties().voiRange;
    for (const id of this.#series.ids) setWindow(cs.cache.getImage(id), lower, upper);
    this.changed();
  }

  async #display(slice) {
    await this.#viewport.setStack(this.#series.ids, slice);
    this.#viewport.setProperties({ voiRange: { ...this.#current.windows[this.#current.place] } });
    this.#viewport.render();
  }

  async #fetch(id, image) {
    const [slices, rows, columns] = image.shape;
    const [between, down, across] = image.spacing;
    const stored = new Int16Array(await bytes(`readings/${id}/images/${image.place}`));
    if (stored.length !== slices * rows * columns) throw new Error("an image is not whole");
    const ids = Array.from({ length: slices }, (_, slice) => {
      const name = `study:${id}/${image.place}/${slice}`;
      const one = cs.imageLoader.createAndCacheLocalImage(name, {
        scalarData: stored.slice(slice * rows * columns, (slice + 1) * rows * columns),
        dimensions: [columns, rows],
        spacing: [across, down],
        // A sagittal stack in a patient who stands straight: only distances within it matter.
        origin: [slice * between, 0, 0],
        direction: [0, 1, 0, 0, 0, -1],
        frameOfReferenceUID: id,
      });
      one.slope = image.slope;
      one.intercept = image.intercept;
      setWindow(one, ...image.window);
      return name;
    });
    const [lower, upper] = image.window;
    return { sequence: image.sequence, ids, window: { lower, upper } };
  }
}

function setWindow(image, lower, upper) {
  // As DICOM has it: width and centre of the values between, both ends included.
  image.windowWidth = upper - lower + 1;
  image.windowCenter = (upper + lower + 1) / 2;
}
