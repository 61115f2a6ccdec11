import { createRequire } from 'node:module'
import type { Digest } from '../digest.ts'
import type { Blake3Engine } from './blake3-engine.ts'

/** What is used of the package, which is CommonJS and loads its module without waiting. */
interface Binding {
  readonly hash: (bytes: Uint8Array) => Uint8Array
  readonly createHash: () => WasmHasher
}

interface WasmHasher {
  update (bytes: Uint8Array): unknown
  /** Gives its memory back, too. */
  digest (): Uint8Array
  dispose (): void
}

/**
 * BLAKE3 by WebAssembly, for platforms without a native build. Loaded only if it is needed, and at once: a module that awaits
 * at its top keeps a thread from being ended while it loads.
 */
export function loadWasmBlake3 (): Blake3Engine {
  const binding = createRequire(import.meta.url)('blake3-wasm') as Binding
  // Memory of WebAssembly is not collected. A hasher that was given up half-way is.
  const givenUp = new FinalizationRegistry<WasmHasher>(hasher => { hasher.dispose() })
  return {
    hashBytes: bytes => Uint8Array.from(binding.hash(bytes)) as Digest,
    createHasher () {
      const inner = binding.createHash()
      const hasher = {
        update (bytes: Uint8Array): void { inner.update(bytes) },
        digest (): Digest {
          givenUp.unregister(hasher)
          return Uint8Array.from(inner.digest()) as Digest
        }
      }
      givenUp.register(hasher, inner, hasher)
      return hasher
    }
  }
}
