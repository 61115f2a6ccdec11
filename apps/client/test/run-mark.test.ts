import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toDeviceId } from '@filesync/identity'
import { expect, onTestFinished, test } from 'vitest'
import { runMark } from '../src/connect/run-mark.ts'

const [one, other] = [toDeviceId(new Uint8Array(32).fill(1)), toDeviceId(new Uint8Array(32).fill(2))]

test('the mark is the same for all processes until the machine restarts, and says nothing about the machine', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'filesync-mark-'))
  onTestFinished(async () => { await rm(folder, { recursive: true }) })
  const [first, second] = [join(folder, 'first'), join(folder, 'second')]
  await writeFile(first, '11111111-2222-3333-4444-555555555555\n')
  await writeFile(second, '66666666-2222-3333-4444-555555555555\n')
  const mark = runMark(one, first)
  expect(mark).toHaveLength(8)
  expect(runMark(one, first)).toEqual(mark)
  expect(runMark(one, second)).not.toEqual(mark)
  expect(runMark(other, first)).not.toEqual(mark)
})

test('without an id of the boot, the mark is one of the process', () => {
  const mark = runMark(one, '/nonexistent')
  expect(mark).toHaveLength(8)
  expect(runMark(other, '/nonexistent')).toEqual(mark)
})
