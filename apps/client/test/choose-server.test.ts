import { describe, expect, test } from 'vitest'
import { toDeviceId } from '@filesync/identity'
import type { PinnedServer } from '@filesync/identity'
import { chooseServers } from '../src/connect/choose-server.ts'

function server (name: string, seed: number): PinnedServer {
  return { id: toDeviceId(new Uint8Array(32).fill(seed)), name, pinnedAtMs: 1, via: 'code', minProtocol: 2 }
}

const nas = server('nas', 1)
const attic = server('attic', 2)
const unknown = { root: '/photos', home: undefined, named: undefined, isAddressGiven: false }

describe('the server of a directory', () => {
  test('is the only paired server', () => {
    expect(chooseServers([nas], unknown)).toEqual([nas])
    expect(chooseServers([nas], { ...unknown, home: attic.id })).toEqual([nas])
  })

  test('stays the server of the first push when another one is paired', () => {
    expect(chooseServers([attic, nas], { ...unknown, home: nas.id })).toEqual([nas])
  })

  test('is refused if several are paired and the user has not chosen one', () => {
    const refused = { code: 'USAGE', message: expect.stringMatching(/2 servers \(nas, attic\).*\/photos.*--server-name NAME/u) as unknown }
    expect(() => chooseServers([nas, attic], unknown)).toThrow(expect.objectContaining(refused))
    expect(() => chooseServers([nas, attic], { ...unknown, home: server('gone', 3).id })).toThrow(expect.objectContaining(refused))
  })

  test('is the one that the user chooses, by name or by address', () => {
    expect(chooseServers([nas, attic], { ...unknown, home: nas.id, named: 'Attic' })).toEqual([attic])
    expect(chooseServers([nas, attic], { ...unknown, isAddressGiven: true })).toEqual([nas, attic])
    expect(() => chooseServers([nas, attic], { ...unknown, named: 'cellar' })).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })
})
