import type { PastTree } from '@filesync/archive'
import { FRAME_HEADER_BYTES, readPack } from '@filesync/protocol'
import type { Name, RelativePath } from '@filesync/protocol'
import { createHasher, hashBytes } from '@filesync/protocol/node'
import { expect, test } from 'vitest'
import { PastSource } from '../src/restore/past-source.ts'

test('the small files of a pack are read in one call, and only what that did not find whole is opened', async () => {
  const contents = new Map(['a', 'b', 'c'].map(name => [name, new TextEncoder().encode(`content of ${name}`)]))
  const calls: string[][] = []
  const opened: string[] = []
  const tree: Pick<PastTree, 'digest' | 'open' | 'readSmall' | 'reject'> = {
    digest: path => hashBytes(contents.get(path) ?? new Uint8Array(0)),
    open: path => {
      opened.push(path)
      return Promise.resolve(undefined)
    },
    readSmall: files => {
      calls.push(files.map(({ path, sizeBytes }) => `${path} ${String(sizeBytes)}`))
      return Promise.resolve(files.map(({ path }) => path === 'b' ? undefined : contents.get(path)))
    },
    reject: () => { /* nothing was found damaged */ },
  }
  const source = new PastSource({ tree: tree as PastTree, hash: hashBytes, createHasher })
  const { frame, faults, files } = await source.readPack([...contents].map(([name, { length }], task) => ({
    task, directory: '' as RelativePath,
    entry: { kind: 'file', name: name as Name, sizeBytes: length, mtimeNs: 0n, mode: 0o644, fileId: 0n },
  })))
  expect([files, faults]).toEqual([2, [{ code: 'EXPIRED', task: 1 }]])
  const sent = [...readPack(frame?.subarray(FRAME_HEADER_BYTES) ?? new Uint8Array(0))]
  expect(sent.map(({ task }) => task)).toEqual([0, 2])
  expect(calls).toEqual([['a 12', 'b 12', 'c 12']])
  expect(opened).toEqual(['b'])
})
