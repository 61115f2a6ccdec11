import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'

/** WebAssembly of gear.ts. Throws what the compiler has to say. */
export async function compileGear (): Promise<Uint8Array> {
  const source = await readFile(fileURLToPath(new URL('./gear.ts', import.meta.url)), 'utf8')
  let binary: Uint8Array | undefined
  const { error, stderr } = await asc.main(['gear.ts', '-O3', '--runtime', 'stub', '--initialMemory', '17', '--outFile', 'gear.wasm'], {
    readFile: name => name === 'gear.ts' ? source : null,
    writeFile: (name, contents) => { if (name === 'gear.wasm') binary = contents as Uint8Array },
    listFiles: () => [],
  })
  if (error !== null || binary === undefined) throw new Error(`gear.ts does not compile: ${stderr.toString()}`, { cause: error })
  return binary
}

/** The TypeScript module that carries the WebAssembly. */
export function moduleText (binary: Uint8Array): string {
  return `/** WebAssembly of assembly/gear.ts, written by assembly/build.ts. A test compares the two. */
export const GEAR_WASM = '${Buffer.from(binary).toString('base64')}'
`
}
