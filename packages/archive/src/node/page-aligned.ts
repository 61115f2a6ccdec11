/** The types of Node do not have WebAssembly, and those of browsers would bring everything else a browser has. */
const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: { readonly Memory: new (size: { initial: number, maximum: number }) => { readonly buffer: ArrayBuffer } } }
const WASM_PAGE_BYTES = 1 << 16

/** Memory that starts at the start of a page, as reading past the page cache asks for. */
export function pageAlignedBuffer (sizeBytes: number): Uint8Array {
  const pages = Math.ceil(sizeBytes / WASM_PAGE_BYTES)
  return new Uint8Array(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer, 0, sizeBytes)
}
