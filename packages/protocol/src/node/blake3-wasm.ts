import type { Digest } from '../digest.ts'
import type { Blake3Engine } from './blake3-engine.ts'

/**
 * BLAKE3 by WebAssembly, for platforms without a native build. Loaded only if it is needed.
 *
 * One instance serves every hasher: making one is asynchronous, and hashers are not. Whoever uses the instance next saves the
 * state of the one before it (2 kB), which is rare, because a stream hashes many buffers of one file in a row.
 */
export async function loadWasmBlake3 (): Promise<Blake3Engine> {
  const { createBLAKE3 } = await import('hash-wasm')
  const instance = await createBLAKE3()
  let owner: { saved: Uint8Array | undefined } | undefined

  function take (next: { saved: Uint8Array | undefined } | undefined): void {
    if (owner === next) return
    if (owner !== undefined) owner.saved = instance.save()
    if (next !== undefined) {
      if (next.saved === undefined) instance.init()
      else instance.load(next.saved)
    }
    owner = next
  }

  return {
    hashBytes (bytes) {
      take(undefined)
      return instance.init().update(bytes).digest('binary') as Digest
    },
    createHasher () {
      const state = { saved: undefined }
      return {
        update (bytes) {
          take(state)
          instance.update(bytes)
        },
        digest () {
          take(state)
          owner = undefined
          return instance.digest('binary') as Digest
        }
      }
    }
  }
}
