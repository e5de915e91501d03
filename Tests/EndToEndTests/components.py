"""Components: a page of a server in jsdom, in which React or Vue renders ours for real. No test.

The page's modules lie in a folder as a bundler finds them: components beside the module that they import, frameworks in node_modules.
React, jsdom and the TypeScript compiler come from Debian's packages, Vue out of a package of PyPI's, as the Socket.IO client does.
"""
import json
import shutil
import subprocess
import sysconfig
from pathlib import Path

from documents import NODE_PATHS, node
from servers import BOUND, ROOT

CLIENTS = ROOT / "Sources/Clients"
STRICT = ["--strict", "--target", "es2022", "--module", "es2022", "--moduleResolution", "node", "--lib", "es2022,dom,dom.iterable"]

# A page, what of it a person perceives, and a line for each time that changes.
PAGE = """
import { createRequire } from 'node:module'
const { JSDOM } = createRequire(import.meta.url)('jsdom')
export const url = URL_OF_SERVER
const dom = new JSDOM('<main id="root"></main>', { url: url + '/' })
const { window } = dom
// Some of them Node has as well, and lets nobody assign.
for (const name of ['window', 'document', 'navigator', 'location', 'WebSocket', 'Element', 'HTMLElement', 'SVGElement', 'HTMLIFrameElement',
  'Node', 'MutationObserver']) Object.defineProperty(globalThis, name, { value: window[name], configurable: true })
export const root = document.getElementById('root')
export const say = (...words) => console.log(words.map((one) => typeof one === 'string' ? one : JSON.stringify(one)).join(' '))
const text = (selector) => root.querySelector(selector)?.textContent ?? ''
let before = ''
new MutationObserver(() => {
  const bar = root.querySelector('[role=progressbar]')
  const now = JSON.stringify({
    value: bar?.getAttribute('aria-valuenow'), words: bar?.getAttribute('aria-valuetext'), live: text('[aria-live]'),
    status: text('[role=status]'), alert: text('[role=alert]'), history: [...root.querySelectorAll('li')].map((one) => one.textContent),
  })
  if (now !== before) console.log(`page ${before = now}`)
}).observe(root, { subtree: true, childList: true, characterData: true, attributes: true })
"""


class Page:
    """A folder with everything that a page needs."""

    def __init__(self, folder):
        self.folder = Path(folder)
        modules = self.folder / "node_modules"
        modules.mkdir()
        for place in map(Path, NODE_PATHS):
            for package in place.iterdir() if place.is_dir() and place.name == "nodejs" else ():
                if not (modules / package.name).exists():
                    (modules / package.name).symlink_to(package)
        vue = modules / "vue"
        vue.mkdir()
        # Not imported: what it depends on is not here.
        shutil.copy(Path(sysconfig.get_path("purelib")) / "nicegui/static/vue.esm-browser.js", vue / "index.js")
        (vue / "package.json").write_text('{"name": "vue", "type": "module", "main": "index.js"}')
        (self.folder / "package.json").write_text('{"type": "module"}')
        for name in ("javascript", "vue", "react"):
            shutil.copytree(CLIENTS / name, self.folder / name)

    def compile(self, *files):
        """Checks the types of TypeScript files and makes JavaScript of them."""
        made = subprocess.run(
            ["tsc", *STRICT, "--jsx", "react-jsx", "--preserveSymlinks", "--skipLibCheck", "--typeRoots", "node_modules/@types",
             "--types", "react", *files], cwd=self.folder, capture_output=True, text=True, timeout=4 * BOUND)
        assert made.returncode == 0, made.stdout + made.stderr

    def open(self, url, script, **environment):
        """Opens the page of that server with a script; it says `page {…}` whenever a person would perceive something else."""
        (self.folder / "page.js").write_text(PAGE.replace("URL_OF_SERVER", json.dumps(url)))
        (self.folder / "script.js").write_text(f"import {{ root, say, url }} from './page.js'\n{script}")
        return node(self.folder / "script.js", **environment)


def perceived(program):
    """What could be perceived, one after the other."""
    return [json.loads(line.removeprefix("page ")) for line in list(program.output.seen) if line.startswith("page ")]
