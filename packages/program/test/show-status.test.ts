import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { EventFeed } from '@filesync/program'
import { serveControl, showStatus } from '@filesync/program/node'
import { fakeTerminal } from '@filesync/program/testing'

test('following ends when the reader of its output does, and releases the feed', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'filesync-follow-'))
  const feed = new EventFeed()
  const control = await serveControl(stateDir, { 'GET /events': (_, gone) => feed.read(gone) })
  onTestFinished(async () => {
    await control.close()
    await rm(stateDir, { recursive: true })
  })
  const terminal = fakeTerminal()
  // As the system does for a pipe whose reader has ended.
  terminal.stdout.on('data', () => { terminal.stdout.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })) })
  terminal.stdout.on('error', () => { /* as runProgram does */ })
  const following = showStatus(
    { stateDir, follow: true, json: true, describe: () => '', notRunning: new Error('not running') },
    { terminal, signal: new AbortController().signal })
  await expect.poll(() => feed.hasReaders).toBe(true)
  feed.push({ event: 'first' })
  await following
  await expect.poll(() => feed.hasReaders).toBe(false)
})
