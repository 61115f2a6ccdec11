import { writeFile } from 'node:fs/promises'
import { compileGear, moduleText } from './compile.ts'

await writeFile(new URL('../src/node/gear-wasm.ts', import.meta.url), moduleText(await compileGear()))
