import { spawn } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { treeDifferences } from '../src/trees.ts'

const DEMO = fileURLToPath(new URL('../../demo/src/main.ts', import.meta.url))
let home: string | undefined

afterEach(async () => { if (home !== undefined) await rm(home, { recursive: true, force: true }) })

test('the demo pushes two sample folders into an archive that is equal to them, and brings a file back', { timeout: 60_000 }, async () => {
  const child = spawn(process.execPath, [DEMO, '--once'], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text })
  child.stderr.setEncoding('utf8').on('data', (text: string) => { output += text })
  const code = await new Promise(resolve => { child.once('close', resolve) })
  home = /state and archive are in (.+)/u.exec(output)?.[1]
  expect(code, output).toBe(0)
  expect(home).toBeDefined()
  expect(output).toContain('as it was at the first point: as deep as it gets here\n')
  for (const folder of ['documents', 'photos'])
    expect(await treeDifferences(join(home ?? '', folder), join(home ?? '', 'archive', 'demo', folder))).toEqual([])
})
