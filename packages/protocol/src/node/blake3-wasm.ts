import { createRequire } from 'node:module'
import type { Digest } from '../digest.ts'
import type { Blake3Engine } from './blake3-engine.ts'

/** The used part of the package, which is CommonJS and loads its module synchronously. */
interface Binding {
  readonly hash: (bytes: Uint8Array) => Uint8Array
  readonly createHash: () => WasmHasher
}

interface WasmHasher {
  update (bytes: Uint8Array): unknown
  /** Also frees its memory. */
  digest (): Uint8Array
  dispose (): void
}

/**
 * BLAKE3 by WebAssembly, for platforms without a native build. Loaded only if it is needed, and synchronously: a thread cannot
 * be terminated while it loads a module with a top-level await.
 */
export function loadWasmBlake3 (): Blake3Engine {
  const binding = createRequire(import.meta.url)('blake3-wasm') as Binding
  // WebAssembly memory is not garbage-collected: free that of abandoned hashers.
  const abandoned = new FinalizationRegistry<WasmHasher>(hasher => { hasher.dispose() })
  return {
    hashBytes: bytes => Uint8Array.from(binding.hash(bytes)) as Digest,
    createHasher () {
      const inner = binding.createHash()
      const hasher = {
        update (bytes: Uint8Array): void { inner.update(bytes) },
        digest (): Digest {
          abandoned.unregister(hasher)
          return Uint8Array.from(inner.digest()) as Digest
        }
      }
      abandoned.register(hasher, inner, hasher)
      return hasher
    }
  }
}
