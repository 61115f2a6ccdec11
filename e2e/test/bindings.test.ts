import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { CLIENT_PROGRAM, openPairedStage, SERVER_PROGRAM, Stage } from '../src/programs.ts'
import { treeDifferences } from '../src/trees.ts'

const HOOK = fileURLToPath(new URL('../src/without-bindings.ts', import.meta.url))
const OPTIONAL = ['@napi-rs/blake-hash-', '@parcel/watcher-', '@msgpackr-extract/']
const before = { ...process.env }

/** From now on programs run as on a platform where these packages have no native build. */
function remove (names: readonly string[]): void {
  process.env['NODE_OPTIONS'] = `${before['NODE_OPTIONS'] ?? ''} --require=${HOOK}`
  process.env['FILESYNC_TEST_WITHOUT'] = names.join(',')
}

describe('native builds that are missing', () => {
  let stage: Stage | undefined

  afterEach(async () => {
    process.env['NODE_OPTIONS'] = before['NODE_OPTIONS']
    delete process.env['FILESYNC_TEST_WITHOUT']
    await stage?.dispose()
  })

  test('of BLAKE3, the watcher and the encoder keep nothing from being pushed, and an end with them understands one without', async () => {
    const paired = await openPairedStage()
    stage = paired.stage
    for (let i = 0; i < 50; i++) await writeFile(join(paired.source, `file-${i}`), `${i}`.repeat(i * 100))
    await writeFile(join(paired.source, 'large'), new Uint8Array(3_000_000).map((_, i) => i * 7 + (i >> 8)))

    remove(OPTIONAL)
    expect(await stage.push('client', paired.source)).toMatchObject({ code: 0, result: { result: 'ok', filesSent: 51, problems: [] } })
    expect(await treeDifferences(paired.source, paired.mirror)).toEqual([])
  })

  test('are reported by doctor', async () => {
    stage = await Stage.open()
    remove(OPTIONAL)
    const { stdout } = await stage.run(SERVER_PROGRAM, ['doctor', '--json', '--interface', 'lo', '--state-dir', stage.path('server')])
    const findings = stdout.trim().split('\n').map(line => JSON.parse(line) as { check: string, level: string, what: string })
    expect(findings.find(({ check }) => check === 'digest')).toMatchObject({
      level: 'warning',
      what: expect.stringContaining('WebAssembly') as unknown,
    })
  })

  test('of the index name the package and what to do, and are no fault of the program', async () => {
    stage = await Stage.open()
    remove(['@lmdb/'])
    const { code, stderr } = await stage.run(SERVER_PROGRAM, [
      'start',
      '--archive',
      stage.path('archive'),
      '--state-dir',
      stage.path('server'),
      '--port',
      '0',
      '--bind',
      '127.0.0.1',
      '--interface',
      'lo',
    ])
    expect(code).toBe(1)
    expect(stderr).toMatch(/lmdb.*(npm|install)/su)
    expect(stderr).not.toMatch(/this is a bug/u)
    // The client needs no index.
    expect((await stage.run(CLIENT_PROGRAM, ['id', '--state-dir', stage.path('client')])).code).toBe(0)
  })
})
