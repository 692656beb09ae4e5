// V8's compiled code of a function's CommonJS modules: made by the first instance of a version, used by its next ones,
// which then compile nothing. The platform keeps it for that version only, and takes it only before the first event.
//
// Operation. While the handler is loaded, modules of the package and of layers are compiled by scripts of our own, which
//            take compiled code and give it back. A module whose text is not the one that was compiled, and whatever V8
//            does not want, is compiled as ever.
import { createHash } from 'node:crypto';
import Module from 'node:module';
import path from 'node:path';
import vm from 'node:vm';

const kLeastOfAModule = 1 << 10; // of source: less is compiled sooner than looked up
const kLeastOfAll = 32 << 10;
const kMostOfAll = 16 << 20; // of compiled code, as the platform takes it
// V8 forgets where compiled code came from, so that import() in it finds no loader: such modules are left alone.
const kImports = /\bimport\s*(?:\(|\/[*/])/;

function requireOf(module) {
  const require = (id) => module.require(id);
  require.resolve = (request, options) => Module._resolveFilename(request, module, false, options);
  require.resolve.paths = (request) => Module._resolveLookupPaths(request, module);
  require.main = process.mainModule;
  require.extensions = Module._extensions;
  require.cache = Module._cache;
  return require;
}

// [length of the index][index as JSON: path, hash, length of each][compiled code, one after the other]
function unpack(bytes) {
  const known = new Map();
  const index = JSON.parse(bytes.toString('utf8', 4, 4 + bytes.readUInt32LE(0)));
  let at = 4 + bytes.readUInt32LE(0);
  for (const [file, hash, length] of index) {
    known.set(file, { hash, data: bytes.subarray(at, at + length) });
    at += length;
  }
  return known;
}

function pack(modules) {
  const codes = modules.map(({ script }) => script.createCachedData());
  const index = Buffer.from(JSON.stringify(modules.map(({ file, hash }, i) => [file, hash, codes[i].length])));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(index.length);
  return Buffer.concat([length, index, ...codes]);
}

class CodeCache {
  constructor(api, mode, roots, known) {
    this.api = api;
    this.mode = mode;
    this.roots = roots;
    this.known = known;
    this.compiled = [];
    const original = Module.prototype._compile;
    const cache = this;
    this.original = original;
    this.hook = function compile(content, file, ...rest) {
      const script = cache.scriptOf(content, file, rest);
      if (script === null) return original.call(this, content, file, ...rest);
      const run = script.runInThisContext();
      return Reflect.apply(run, this.exports, [this.exports, requireOf(this), this, file, path.dirname(file)]);
    };
    Module.prototype._compile = this.hook;
  }

  scriptOf(content, file, [format]) {
    if (typeof content !== 'string' || content.length < kLeastOfAModule || content.startsWith('#!')) return null;
    if (format === 'module' || !this.roots.some((root) => file.startsWith(root))) return null;
    const hash = createHash('sha1').update(content).digest('hex');
    const known = this.known?.get(file);
    const cachedData = known?.hash === hash ? known.data : undefined;
    if (this.mode === 'read' ? cachedData === undefined : kImports.test(content)) return null;
    try {
      const script = new vm.Script(Module.wrap(content), {
        filename: file,
        columnOffset: -Module.wrapper[0].length,
        cachedData,
      });
      this.compiled.push({ file, hash, script, bytes: content.length });
      return script;
    } catch {
      return null; // told by the ordinary compiler, in its words
    }
  }

  // The handler is loaded.
  async close() {
    if (Module.prototype._compile === this.hook) Module.prototype._compile = this.original;
    if (this.mode !== 'write') return;
    const bytes = this.compiled.reduce((sum, module) => sum + module.bytes, 0);
    if (bytes < kLeastOfAll) return;
    const packed = pack(this.compiled);
    if (packed.length <= kMostOfAll) await this.api.writeCodeCache(packed);
  }
}

// `mode` is what the platform says: "write", or "read" where it has some.
export async function openCodeCache(api, mode, root) {
  let known = null;
  if (mode === 'read') {
    const bytes = await api.readCodeCache();
    if (bytes === null) return null;
    known = unpack(bytes);
  }
  return new CodeCache(api, mode, [`${root}/`, '/opt/'], known);
}
