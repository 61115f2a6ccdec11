import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LEGACY_LIMITS } from '@filesync/protocol/legacy'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { OLD, sendFile } from './support/legacy-client.ts'
import { LegacyServer } from './support/legacy-server.ts'

let server: LegacyServer
beforeAll(async () => { server = await LegacyServer.open() })
beforeEach(() => { server.nextClient() })
afterAll(async () => { await server.close() })

describe('a hostile client', () => {
  const expectNothingOutside = async (): Promise<void> => {
    expect(await readFile(join(server.root, 'canary'), 'utf8')).toBe('untouched')
    expect((await readdir(server.root)).sort()).toEqual(['archive', 'canary'])
    const expected = ['.filesync', 'legacy', 'paired']
    expect((await readdir(server.archiveRoot)).filter(name => !expected.includes(name))).toEqual([])
  }

  test('is refused if it lists files in too many directories', async () => {
    const pathOf = (i: number): string => `${Array.from({ length: 60 }, (_, level) => `${i}-${level}`).join('/')}/f`
    const deep = Array.from({ length: 2_000 }, (_, i) => pathOf(i))
    const { wire, session } = server.connect()
    await wire.until('}')
    await wire.send(server.info(Object.fromEntries(deep.map(path => [path, { content: '' }]))))
    await expect(session).rejects.toEqual(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }))
    expect(server.archive.areas()).not.toContain(`legacy/client_${server.id}`)
  })

  const invalidIds = [
    'a/../../../victim', '..', '.', '...', '', '/etc', 'a\\b', 'a b', 'ü', 'a\u0000', 'x'.repeat(65), 'nul.txt/..', 'ends.',
  ]
  test.each(invalidIds)('cannot use the id %j', async wish => {
    const { wire, session } = server.connect()
    await wire.until('}')
    await wire.send(server.info({ x: { content: '1' } }, wish))
    await expect(session).rejects.toMatchObject({ code: 'NAME_INVALID' })
    await expectNothingOutside()
  })

  test('cannot use the id of another client in another spelling', async () => {
    await server.sync({ a: { content: '1' } }, { id: 'Alice' })
    const { wire, session } = server.connect()
    await wire.until('}')
    await wire.send(server.info({}, 'alice'))
    await expect(session).rejects.toMatchObject({ code: 'NAME_INVALID' })
  })

  test('cannot store paths outside its area, and its other files are stored', async () => {
    await mkdir(join(server.archiveRoot, 'paired'))
    await writeFile(join(server.archiveRoot, 'paired', 'file'), 'paired')
    const paths = [
      '', '/etc/passwd', '..', '../x', 'a/../../x', 'a/..', './a', 'a//b', 'a/', 'a\0b', 'a\nb', '\u001b]0;x\u0007', 'a\u202etxt.exe',
      '\ud800', 'x'.repeat(256), `${'é'.repeat(128)}`, 'a/'.repeat(65) + 'b', '.filesync/staging/x', '.FileSync', '.ﬁlesync',
      '../client_other/x', '../../paired/file',
    ]
    const good = ['..a', 'a..', '-rf', '$(id)', '%2e%2e', '__proto__/x', 'constructor', '.git/config', 'CON']
    const { asked, report } = await server.sync(Object.fromEntries([...paths, ...good].map(path => [path, { content: path }])))
    expect(asked.sort()).toEqual([...good].sort())
    expect(report).toMatchObject({ result: 'PROBLEMS', stored: { files: good.length } })
    expect(report.problems.length).toBe(paths.length)
    await expectNothingOutside()
    expect(await readFile(join(server.archiveRoot, 'paired', 'file'), 'utf8')).toBe('paired')
    expect((await server.sync({})).report.stored.deleted).toBe(good.length)
    await expectNothingOutside()
  })

  test('cannot list a path twice, or as both a file and a directory', async () => {
    const { wire, session } = server.connect()
    await wire.until('}')
    const file = (path: string): string => `{"name":"x","path":"${path}","last_mod":"${OLD}"}`
    const files = ['a', 'a', 'a/b', 'c/d', 'c'].map(file).join()
    await wire.send(`{"type":"CLIENT_FILES_INFO","client_id":"${server.id}","files":[${files}]}`)
    expect(JSON.parse(await wire.until('\n'))).toEqual({ type: 'TASKS', files_to_send: ['a', 'c/d'] })
    await sendFile(wire, 'a', { content: '1' })
    await sendFile(wire, 'c/d', { content: '2' })
    const problems = (await session).problems.map(({ path, code }) => `${code} ${path}`)
    expect(problems).toEqual(['NAME_COLLIDES a', 'NAME_COLLIDES a/b', 'NAME_COLLIDES c'])
  })

  const listOf = (files: string): string => `{"type":"CLIENT_FILES_INFO","client_id":null,"files":[${files}`
  const tooMany = '{"name":"","path":"a","last_mod":""},'.repeat(LEGACY_LIMITS.listFiles + 2)
  test.each([
    ['a list of too many files', listOf(tooMany), 'LIMIT_EXCEEDED'],
    ['an endless list', `{"type":"CLIENT_FILES_INFO","client_id":"${'x'.repeat(LEGACY_LIMITS.listBytes)}`, 'LIMIT_EXCEEDED'],
    ['a deeply nested list', '{"type":"CLIENT_FILES_INFO","files":[[[[[[', 'LIMIT_EXCEEDED'],
    ['another message', '{"type":"TASKS","files_to_send":[]}', 'MESSAGE_INVALID'],
    ['a path that is not text', listOf(`{"name":"x","path":42,"last_mod":"${OLD}"}]}`), 'MESSAGE_INVALID'],
    ['an invalid time', listOf('{"name":"x","path":"x","last_mod":"soon"}]}'), 'MESSAGE_INVALID'],
    ['an HTTP request', 'GET / HTTP/1.1\r\n\r\n', 'MESSAGE_INVALID'],
  ])('is disconnected for %s', async (_, text, code) => {
    const { wire, session } = server.connect({ capacityBytes: 1 << 26 })
    await wire.until('}')
    await wire.send(text)
    await expect(session).rejects.toMatchObject({ code })
    expect(server.archive.areas()).not.toContain(`legacy/client_${server.id}`)
  })

  test.each([
    ['a file that was not requested', 'other', 1, 'DATA_UNEXPECTED'],
    ['a negative size', 'a', -1, 'MESSAGE_INVALID'],
    ['a size that is not a whole number', 'a', 1.5, 'MESSAGE_INVALID'],
    ['a size beyond any file', 'a', 2 ** 53, 'MESSAGE_INVALID'],
    ['a size beyond the disk', 'a', 2 ** 49, 'ARCHIVE_FULL'],
  ])('is disconnected for %s', async (_, path, size, code) => {
    const { wire, session } = server.connect()
    await wire.until('}')
    await wire.send(server.info({ a: { content: '1' } }))
    await wire.until('\n')
    await sendFile(wire, path, { content: '1' }, size)
    await expect(session).rejects.toMatchObject({ code })
  })

  test('is asked last for a file that did not fit, so that its other files are stored', async () => {
    const info = server.info({ a: { content: '1' }, b: { content: '2' } })
    const { wire, session } = server.connect()
    await wire.until('}')
    await wire.send(info)
    await wire.until('\n')
    await sendFile(wire, 'a', { content: '1' }, 2 ** 49)
    await expect(session).rejects.toMatchObject({ code: 'ARCHIVE_FULL' })
    const again = server.connect()
    await again.wire.until('}')
    await again.wire.send(info)
    expect(JSON.parse(await again.wire.until('\n'))).toEqual({ type: 'TASKS', files_to_send: ['b', 'a'] })
    await sendFile(again.wire, 'b', { content: '2' })
    await sendFile(again.wire, 'a', { content: '1' })
    expect((await again.session).problems).toEqual([])
  })

  test('cannot send a file twice', async () => {
    const { wire, session } = server.connect()
    await wire.until('}')
    await wire.send(server.info({ a: { content: '1' }, b: { content: '2' } }))
    await wire.until('\n')
    await sendFile(wire, 'a', { content: '1' })
    await sendFile(wire, 'a', { content: '2' })
    await expect(session).rejects.toMatchObject({ code: 'DATA_UNEXPECTED' })
    expect(await server.stored('a')).toBe('1')
  })

  test('cannot create an unlimited number of folders', async () => {
    const names = Array.from({ length: 256 }, (_, i) => `legacy/client_${i}`)
    const { wire, session } = server.connect({}, { ...server.deps, areas: () => names })
    await wire.until('}')
    await wire.send(server.info({ a: { content: '1' } }))
    await expect(session).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
  })
})
