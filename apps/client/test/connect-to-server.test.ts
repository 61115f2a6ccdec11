import { getEventListeners } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { toDeviceId } from '@filesync/identity'
import { systemClock } from '@filesync/protocol/node'
import { openClientState } from '../src/connect/client-state.ts'
import { connectToServer } from '../src/connect/connect-to-server.ts'

test('a connection that fails leaves no listener on the signal of the program', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'filesync-connect-'))
  onTestFinished(async () => { await rm(stateDir, { recursive: true }) })
  const { identity, servers } = await openClientState(stateDir)
  await servers.pin({ id: toDeviceId(new Uint8Array(32).fill(1)), name: 'nas', via: 'manual' })
  const { signal } = new AbortController()
  // Nothing listens on port 1.
  const connecting = connectToServer({
    identity, servers, server: { host: '127.0.0.1', port: 1 }, interfaces: undefined, clock: systemClock, signal,
  })
  await expect(connecting).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' })
  expect(getEventListeners(signal, 'abort')).toEqual([])
})
