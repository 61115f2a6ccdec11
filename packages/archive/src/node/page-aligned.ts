/** Node's type declarations omit WebAssembly, and those for browsers would add everything else that a browser has. */
interface WithWebAssembly {
  readonly WebAssembly: { readonly Memory: new (size: { initial: number, maximum: number }) => { readonly buffer: ArrayBuffer } }
}
const { WebAssembly } = globalThis as unknown as WithWebAssembly
const WASM_PAGE_BYTES = 1 << 16

/** Memory that is aligned to a page, as required for reading past the page cache. */
export function pageAlignedBuffer (sizeBytes: number): Uint8Array {
  const pages = Math.ceil(sizeBytes / WASM_PAGE_BYTES)
  return new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer, 0, sizeBytes)
}
