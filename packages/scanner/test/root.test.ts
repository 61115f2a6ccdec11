import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FileSyncError } from '@filesync/protocol'
import { ensureSameRoot, isSameRoot, vanishedRoot } from '../src/source-root.ts'
import { systemFault } from '../src/system-fault.ts'
import { open, scratch, write } from './support/fixture.ts'
import { paths } from './support/tree-text.ts'

const signal = AbortSignal.timeout(30_000)

function failure (code: string, words: string): { code: string, message: string } {
  return { code, message: expect.stringContaining(words) as string }
}

describe('the root directory', () => {
  test('is unavailable if it is missing or a file', async () => {
    const root = scratch()
    writeFileSync(join(root, 'file'), '')
    await expect(open(join(root, 'missing'))).rejects.toMatchObject(failure('SOURCE_UNAVAILABLE', 'missing'))
    await expect(open(join(root, 'file'))).rejects.toMatchObject(failure('SOURCE_UNAVAILABLE', 'not a directory'))
  })

  test('may be a link', async () => {
    const root = scratch()
    write(root, { 'real/file': '' })
    symlinkSync('real', join(root, 'link'))
    expect(paths(await (await open(join(root, 'link'))).scan({ signal }))).toEqual(['file'])
  })

  test('is suspect if it vanished, in a running scanner and in the next one', async () => {
    const root = join(scratch(), 'root')
    write(root, { file: '' })
    const scanner = await open(root)
    await scanner.scan({ signal })
    renameSync(root, `${root}-gone`)
    await expect(scanner.scan({ signal })).rejects.toMatchObject({ code: 'SOURCE_SUSPECT' })
    const { memory } = scanner
    await expect(open(root, memory === undefined ? {} : { memory })).rejects.toMatchObject({ code: 'SOURCE_SUSPECT' })
    renameSync(`${root}-gone`, root)
    expect(await scanner.scan({ signal })).toMatchObject({ files: 1 })
  })

  test('is not reported as vanished if it can no longer be read', () => {
    const unavailable = (code: string): FileSyncError => {
      return new FileSyncError('SOURCE_UNAVAILABLE', 'It cannot be pushed.', { cause: systemFault(code, 'says the system') })
    }
    const denied = failure('SOURCE_SUSPECT', 'can no longer be read (EACCES: says the system)')
    expect(vanishedRoot(unavailable('EACCES'))).toMatchObject(denied)
    expect(vanishedRoot(unavailable('ENOENT'))).toMatchObject(failure('SOURCE_SUSPECT', 'has vanished'))
  })

  test('is suspect if it is empty but was not, until it is accepted', async () => {
    const root = scratch()
    write(root, { 'a/file': '' })
    const first = await open(root)
    await first.scan({ signal })
    rmSync(join(root, 'a'), { recursive: true })
    mkdirSync(join(root, 'a'))
    await expect(first.scan({ signal })).rejects.toMatchObject({ code: 'SOURCE_SUSPECT' })
    const memory = JSON.parse(JSON.stringify(first.memory)) as NonNullable<typeof first.memory>
    const next = await open(root, { memory })
    await expect(next.scan({ signal })).rejects.toMatchObject(failure('SOURCE_SUSPECT', 'had 1 files'))
    const accepting = await open(root)
    expect((await accepting.scan({ signal })).files).toBe(0)
  })

  test('does not count as empty if links are left, and the message says if only directories are left', async () => {
    const root = scratch()
    write(root, { 'a/file': '' })
    symlinkSync('file', join(root, 'a/link'))
    const scanner = await open(root)
    await scanner.scan({ signal })
    rmSync(join(root, 'a/file'))
    expect(await scanner.scan({ signal })).toMatchObject({ files: 0, directories: 1 })
    write(root, { 'a/file': '' })
    await scanner.scan({ signal })
    rmSync(join(root, 'a'), { recursive: true })
    mkdirSync(join(root, 'a'))
    const suspect = { code: 'SOURCE_SUSPECT', message: expect.stringMatching(/contains only directories, but had 1 files/u) as string }
    await expect(scanner.scan({ signal })).rejects.toMatchObject(suspect)
  })

  test('is suspect on another device, but not if only its device number changed', async () => {
    const here = { device: '1', inode: '2', birthtimeNs: '3' }
    expect(isSameRoot(here, { ...here, device: '9' })).toBe(true)
    expect(isSameRoot(here, { ...here, inode: '9', birthtimeNs: '9' })).toBe(true)
    expect(isSameRoot(here, { device: '9', inode: '2', birthtimeNs: '9' })).toBe(false)
    const suspect = expect.objectContaining({ code: 'SOURCE_SUSPECT' }) as Error
    const now = { mark: { ...here, device: '9', inode: '9' }, isMountPoint: undefined, hasStableInodes: true }
    expect(() => { ensureSameRoot({ root: here }, now) }).toThrow(suspect)
    const root = scratch()
    write(root, { file: '' })
    const scanner = await open(root, { memory: { root: { device: '1', inode: '1', birthtimeNs: '1' }, files: 1 } })
    await expect(scanner.scan({ signal })).rejects.toMatchObject(failure('SOURCE_SUSPECT', 'another disk'))
  })
})

describe('a root at which a file system is mounted', () => {
  const mark = { device: '1', inode: '2', birthtimeNs: '3' }
  const other = { ...mark, birthtimeNs: '9' }
  const hasStableInodes = true
  test.each<[string, boolean | undefined, Parameters<typeof ensureSameRoot>[1], string]>([
    ['the same one', true, { mark, isMountPoint: true, hasStableInodes }, 'same'],
    ['the same one under another device number', true, { mark: { ...mark, device: '7' }, isMountPoint: true, hasStableInodes }, 'same'],
    ['another one under the same device number', true, { mark: other, isMountPoint: true, hasStableInodes }, 'suspect'],
    ['one without lasting inode numbers on that device', true, { mark: other, isMountPoint: true, hasStableInodes: false }, 'same'],
    ['none, on the same device', true, { mark: other, isMountPoint: false, hasStableInodes }, 'suspect'],
    ['one that hides the directory', false, { mark: other, isMountPoint: true, hasStableInodes }, 'suspect'],
    ['none, and the directory was made again', false, { mark: other, isMountPoint: false, hasStableInodes }, 'same'],
    ['one, and it is not known what was before', undefined, { mark: other, isMountPoint: true, hasStableInodes }, 'same'],
    ['it is not known what', true, { mark: other, isMountPoint: undefined, hasStableInodes }, 'same'],
  ])('now has %s', (_, wasMountPoint, now, expected) => {
    const memory = { root: mark, ...(wasMountPoint !== undefined && { isMountPoint: wasMountPoint }) }
    const check = (): void => { ensureSameRoot(memory, now) }
    if (expected === 'same') expect(check).not.toThrow()
    else expect(check).toThrow(expect.objectContaining({ code: 'SOURCE_SUSPECT' }) as Error)
  })
})

describe('a scan', () => {
  test('reports progress, can be aborted, and works again afterwards', async () => {
    const root = scratch()
    for (let i = 0; i < 200; i++) write(root, { [`d${i}/f`]: 'xy' })
    const scanner = await open(root)
    const stop = new AbortController()
    await expect(scanner.scan({ signal: stop.signal, onProgress: () => { stop.abort(new Error('enough')) } })).rejects.toThrow('enough')
    await expect(scanner.scan({ signal: AbortSignal.abort(new Error('at once')) })).rejects.toThrow('at once')
    const seen: number[] = []
    const snapshot = await scanner.scan({ signal, onProgress: ({ files }) => { seen.push(files) } })
    expect(snapshot.files).toBe(200)
    expect(seen.at(-1)).toBe(200)
    expect(seen).toEqual(seen.toSorted((left, right) => left - right))
  })

  test('waits for the previous one', async () => {
    const root = scratch()
    write(root, { file: '' })
    const scanner = await open(root)
    const [first, second] = await Promise.all([scanner.scan({ signal }), scanner.scan({ signal })])
    expect(first.rootDigest).toEqual(second.rootDigest)
  })

  test('rejects if the scanner is closed', async () => {
    const scanner = await open(scratch())
    await scanner.close()
    await expect(scanner.scan({ signal })).rejects.toMatchObject({ code: 'INTERNAL' })
  })
})
