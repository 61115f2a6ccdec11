import { createRequire } from 'node:module'
import type { Digest } from '../digest.ts'
import type { Blake3Engine } from './blake3-engine.ts'

/** The used part of the binding. Its own declarations require a Buffer, but it accepts any Uint8Array. */
interface Binding {
  readonly blake3: (bytes: Uint8Array) => Digest
  readonly Blake3Hasher: new () => { update (bytes: Uint8Array): unknown, digestBuffer (): Digest }
}

/**
 * BLAKE3 by the native binding, or the reason why it cannot be loaded: no build for this platform, or optional dependencies
 * were not installed. Uses `require`, because an import that may fail must be awaited, and a thread cannot be terminated while
 * it loads a module with a top-level await.
 */
export function loadNativeBlake3 (): { readonly engine: Blake3Engine } | { readonly reason: string } {
  try {
    const binding = createRequire(import.meta.url)('@napi-rs/blake-hash') as Binding
    return {
      engine: {
        hashBytes: binding.blake3,
        createHasher () {
          const hasher = new binding.Blake3Hasher()
          return {
            update (bytes) { hasher.update(bytes) },
            digest: () => hasher.digestBuffer()
          }
        }
      }
    }
  } catch (error) {
    return { reason: error instanceof Error ? error.message.split('\n', 1)[0] ?? error.name : String(error) }
  }
}
