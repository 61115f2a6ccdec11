import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Stage } from '../src/programs.ts'

const DIRECTORIES = 500
const FILES_EACH = 200

let stage: Stage
beforeEach(async () => { stage = await Stage.open() })
afterEach(async () => { await stage.dispose() })

test('a second push of an unchanged tree of 100,000 files sends less than 64 KiB', { timeout: 120_000 }, async () => {
  const source = stage.path('source')
  for (let d = 0; d < DIRECTORIES; d++) {
    const directory = join(source, `d${d % 20}`, `d${d}`)
    mkdirSync(directory, { recursive: true })
    for (let f = 0; f < FILES_EACH; f++) {
      const file = join(directory, `file-${f}.txt`)
      writeFileSync(file, `content of file ${f} in ${d}`)
      utimesSync(file, 1_700_000_000, 1_700_000_000)
    }
  }
  const server = await stage.startServer()
  await stage.pair(server, 'client')
  const first = await stage.push('client', source)
  expect(first, first.stderr).toMatchObject({ code: 0, result: { result: 'ok', filesSent: 100_000, filesTotal: 100_000 } })
  const second = await stage.push('client', source)
  expect(second, second.stderr).toMatchObject({ code: 0, result: { result: 'ok', filesSent: 0 } })
  expect(second.result.bytesSent + second.result.bytesReceived).toBeLessThan(64 << 10)
})
