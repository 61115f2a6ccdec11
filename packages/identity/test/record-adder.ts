import { openPeers } from '../src/node/index.ts'
import { someId } from './introductions.ts'

// Adds as many peers as it is told to a book that others use too.
const [, , stateDir = '', count = '0'] = process.argv
const peers = openPeers(stateDir)
for (let n = 0; n < Number(count); n++) await peers.admit({ id: someId(), wish: 'machine', via: 'manual' })
