import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadSettingsFile, loadSettingsFileIfAny } from '../src/node/settings-file.ts'
import { parseSettings } from '../src/node/settings-text.ts'

const usage = (message: RegExp): unknown => expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(message) as unknown })

describe('accepts', () => {
  test.each([
    ['', {}],
    ['# only a comment\n', {}],
    ['port: 0042\narchive: /srv/archive', { port: ['0042'], archive: ['/srv/archive'] }],
    ['interface: [eth0, eth1]', { interface: ['eth0', 'eth1'] }],
    ['{"port": 42, "discovery": false}', { port: ['42'], discovery: ['false'] }],
    ['name: null', { name: ['null'] }],
    ['\ufeffport: 1', { port: ['1'] }],
    ['__proto__: x', { ['__proto__']: ['x'] }],
  ])('%j', (text, settings) => {
    expect([...parseSettings(text, 'f')]).toEqual(Object.entries(settings))
  })
})

describe('refuses in one line', () => {
  test.each([
    ['just text', /must contain settings/u],
    ['- a\n- b', /must contain settings/u],
    ['port:', /"port" has no value/u],
    ['port: ""', /"port" has no value/u],
    ['port: {a: b}', /"port" has no value/u],
    ['port: [[1]]', /"port" has no value/u],
    ['interface: []', /"interface" has no value/u],
    ['port: 1\nport: 2', /not valid YAML: Map keys must be unique/u],
    ['a: &x [1]\nb: *x', /"b" has no value/u],
    ['? {a: b}\n: c', /not valid YAML/u],
    ['port: !!js/function x', /not valid YAML/u],
    ['a: 1\n---\nb: 2', /not valid YAML/u],
    ['a: "', /not valid YAML/u],
    ['\tx: 1', /not valid YAML/u],
    ['['.repeat(60_000), /not valid YAML/u],
    ['\u0000', /not valid YAML|must contain/u],
  ])('%.40j', (text, message) => {
    expect(() => parseSettings(text, 'f')).toThrow(usage(message))
    expect(() => parseSettings(text, 'f')).not.toThrow(/\n/u)
  })
})

describe('files', () => {
  let folder: string
  beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'filesync-settings-')) })
  afterAll(async () => { await rm(folder, { recursive: true }) })

  test('a missing file is an error only if it was named', async () => {
    await expect(loadSettingsFile(join(folder, 'none.yaml'))).rejects.toEqual(usage(/cannot be read: ENOENT/u))
    expect(await loadSettingsFileIfAny(join(folder, 'none.yaml'))).toBeUndefined()
    await writeFile(join(folder, 'file'), '')
    expect(await loadSettingsFileIfAny(join(folder, 'file', 'x.yaml'))).toBeUndefined()
  })

  test('a directory and an endless file are refused', async () => {
    await expect(loadSettingsFileIfAny(folder)).rejects.toEqual(usage(/EISDIR/u))
    await expect(loadSettingsFile('/dev/zero')).rejects.toEqual(usage(/longer than 65536 bytes/u))
  })

  test('a file is read up to the maximum size', async () => {
    const file = join(folder, 'large.yaml')
    await writeFile(file, `port: 1\n#${'x'.repeat(65_536 - 9)}`)
    expect((await loadSettingsFile(file)).get('port')).toEqual(['1'])
    await writeFile(file, `port: 1\n#${'x'.repeat(65_536 - 8)}`)
    await expect(loadSettingsFile(file)).rejects.toEqual(usage(/longer than/u))
  })
})
