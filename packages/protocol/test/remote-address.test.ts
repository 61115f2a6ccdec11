import type { Socket } from 'node:net'
import { remoteAddressOf } from '@filesync/protocol/node'
import { expect, test } from 'vitest'

test.each([
  ['192.0.2.1', '192.0.2.1'], ['::ffff:192.0.2.1', '192.0.2.1'], ['fe80::1%eth0', 'fe80::1%eth0'], ['::ffff:1:2', '::ffff:1:2'],
  [undefined, ''],
])('a socket that leads to %s is shown as %s', (remoteAddress, shown) => {
  expect(remoteAddressOf({ remoteAddress } as Socket)).toBe(shown)
})
