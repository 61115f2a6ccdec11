import type { Digest, Hasher } from '../digest.ts'
import { loadNativeBlake3 } from './blake3-native.ts'
import { loadWasmBlake3 } from './blake3-wasm.ts'

/** Which implementation this process uses, and why the native one is not used if it is not. */
export type DigestEngine = { readonly name: 'native' } | { readonly name: 'webassembly', readonly reason: string }

const native = loadNativeBlake3()
const chosen = 'engine' in native ? native.engine : loadWasmBlake3()

/** The native binding if this platform has one, otherwise WebAssembly (about a tenth of the speed). Chosen once, at the start. */
export const digestEngine: DigestEngine = 'engine' in native ? { name: 'native' } : { name: 'webassembly', reason: native.reason }

/** BLAKE3 of one buffer. */
export const hashBytes: (bytes: Uint8Array) => Digest = chosen.hashBytes

/** Incremental BLAKE3. */
export const createHasher: () => Hasher = chosen.createHasher
