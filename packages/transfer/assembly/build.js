import { readFile, writeFile } from 'node:fs/promises'
import asc from 'assemblyscript/asc'

const source = await readFile(new URL('./gear.ts', import.meta.url), 'utf8')
const target = new URL('../src/node/gear-wasm.ts', import.meta.url)
let binary
const { error, stderr } = await asc.main(['gear.ts', '-O3', '--runtime', 'stub', '--initialMemory', '17', '--outFile', 'gear.wasm'], {
  readFile: name => name === 'gear.ts' ? source : null,
  writeFile: (name, contents) => { if (name === 'gear.wasm') binary = contents },
  listFiles: () => []
})
if (error !== null || binary === undefined) throw new Error(`gear.ts does not compile: ${stderr.toString()}`, { cause: error })
const lines = Buffer.from(binary).toString('base64').match(/.{1,120}/g) ?? []
const text = `/** WebAssembly of assembly/gear.ts, written by assembly/build.js. A test compares the two. */
export const GEAR_WASM: string = [
${lines.map(line => `  '${line}',\n`).join('')}].join('')
`
const isCheck = process.argv.includes('--check')
if (!isCheck) await writeFile(target, text)
else if (await readFile(target, 'utf8') !== text) {
  throw new Error('src/node/gear-wasm.ts is not what assembly/gear.ts compiles to. Run pnpm build.')
}
