// `npm ci && npm run build` writes pages/vendor: one file of code and the licences of what is in it.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vite";

const folderOf = (module) =>
  module.match(/^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//)?.[1];

function licenceOf(folder) {
  const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  const text = file ? readFileSync(join(folder, file), "utf8").trim() : "(no file of its own)";
  return `${about.name} ${about.version}: ${about.license}\n\n${text}\n`;
}

const licences = {
  name: "licences",
  generateBundle(_, bundle) {
    const folders = Object.values(bundle)
      .flatMap((chunk) => Object.keys(chunk.modules ?? {}))
      .map(folderOf)
      .filter((folder) => folder && existsSync(join(folder, "package.json")));
    const texts = [...new Set(folders)].sort().map(licenceOf);
    this.emitFile({
      type: "asset",
      fileName: "LICENCES.txt",
      source: texts.join(`\n${"-".repeat(78)}\n\n`),
    });
  },
};

// The pages allow no inline style; what rulers are drawn with is said in another way.
const SAID_OTHERWISE = {
  "drawTextBox.js": [
    "textElement.setAttribute('style', combinedStyle)",
    "textElement.style.cssText = combinedStyle",
  ],
  "drawLine.js": ["style: dropShadowStyle", "filter: dropShadowStyle.replace(/^filter:|;$/g, '')"],
};
const styles = {
  name: "styles",
  transform(code, id) {
    const file = Object.keys(SAID_OTHERWISE).find((name) => id.endsWith(`/drawingSvg/${name}`));
    if (!file) return null;
    const [found, instead] = SAID_OTHERWISE[file];
    if (!code.includes(found)) this.error(`${file} is another than it was`);
    return code.replace(found, instead);
  },
};

export default defineConfig({
  plugins: [licences, styles],
  define: { "process.env.NODE_ENV": '"production"' },
  build: {
    lib: { entry: "cornerstone.js", formats: ["es"], fileName: () => "cornerstone.js" },
    outDir: "../../src/cervispine/reader_study/pages/vendor",
    emptyOutDir: true,
    minify: true,
    target: "es2022",
    rollupOptions: { output: { codeSplitting: false } },
  },
});
