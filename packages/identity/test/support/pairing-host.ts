import { randomBytes } from 'node:crypto'
import { openConnection } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { memoryStreamPair } from '@filesync/protocol/testing'
import { PairingDesk, parseEnrollmentToken, PeerBook, provePairing, toDeviceId, TokenBook } from '../../src/index.ts'
import type { AuditEvent, DeviceId, PairingGrant, PairingCrypto, PairingSecret, Peer } from '../../src/index.ts'
import type { PairingCode } from '../../src/pairing-code.ts'
import type { PairingRequest } from '../../src/pairing-desk.ts'
import type { PairingChannel } from '../../src/pairing.ts'
import { nodeCrypto } from '../../src/node/index.ts'
import { memoryRecords } from '../../src/testing/index.ts'

/** Like Node's, but with a fast hash instead of scrypt, so that a hundred wrong codes do not take seconds. */
export const quickCrypto: PairingCrypto = {
  ...nodeCrypto,
  scrypt: async (password, salt) => nodeCrypto.sha256(Buffer.concat([password, salt])),
}

export function someId (): DeviceId {
  return toDeviceId(randomBytes(32))
}

export interface Ends {
  readonly client: PairingChannel
  readonly server: PairingRequest
}

/** Both ends of one connection in memory, as TLS would hand them over. */
export function join (clientId: DeviceId, serverId: DeviceId, clock: Clock = systemClock): Ends {
  const [left, right] = memoryStreamPair()
  const exporter = randomBytes(32)
  const transcript = { exporter, clientId, serverId }
  return {
    client: { ...transcript, connection: openConnection({ stream: left, clock }) },
    server: { ...transcript, connection: openConnection({ stream: right, clock }), remoteAddress: '192.0.2.7' },
  }
}

/** The server's side of pairing, with everything in memory. */
export class PairingHost {
  readonly id: DeviceId = someId()
  readonly events: AuditEvent[] = []
  /** The peers for which `onPaired` was called. */
  readonly paired: Peer[] = []
  /** Areas that the archive has. */
  archived: string[] = []
  /** Called before the peers are written. */
  beforeWrite: () => void = () => { /* the disk works */ }
  /** Called with each event for the audit log, before it is recorded. */
  onRecord: (event: AuditEvent) => Promise<void> = async () => {
    /* there is room */
  }
  readonly clock: Clock
  readonly peers: PeerBook
  readonly tokens: TokenBook
  readonly desk: PairingDesk

  constructor (clock: Clock = systemClock, refusalDelayMs = 0) {
    this.clock = clock
    const audit = {
      record: async (event: AuditEvent) => {
        await this.onRecord(event)
        this.events.push(event)
      },
    }
    const records = memoryRecords<Peer>()
    this.peers = new PeerBook({
      read: async () => await records.read(),
      change: async decide => await records.change(current => {
        const { before, ...change } = decide(current)
        const write = async (): Promise<void> => {
          await before?.()
          if (change.records !== current) this.beforeWrite()
        }
        return { ...change, before: write }
      }),
    }, { clock, audit })
    this.tokens = new TokenBook(memoryRecords(), { crypto: quickCrypto, clock, audit })
    this.desk = new PairingDesk({
      serverId: this.id,
      serverName: 'nas',
      peers: this.peers,
      tokens: this.tokens,
      crypto: quickCrypto,
      clock,
      refusalDelayMs,
      audit,
      takenAreas: async () => this.archived,
      archivedAreas: async () => this.archived,
      onPaired: ({ peer }) => {
        this.paired.push(peer)
      },
    })
  }

  /** Serves one visit as a listener does: the end of the work is the end of the connection. */
  async serve (visit: PairingRequest): Promise<void> {
    try {
      await this.desk.serve(visit)
      await visit.connection.close()
    } catch (error) {
      await visit.connection.close(error)
    }
  }

  /** A client comes with a secret. Resolves with what it was granted; rejects with what it was told. */
  async visit (
    secret: PairingSecret | PairingCode,
    { clientId = someId(), name = 'laptop' }: { clientId?: DeviceId, name?: string } = {}
  ): Promise<PairingGrant> {
    const { client, server } = join(clientId, this.id, this.clock)
    const serving = this.serve(server)
    try {
      return await provePairing(client, {
        crypto: quickCrypto,
        secret: typeof secret === 'string' ? { kind: 'code', code: secret } : secret,
        name,
        remember: async () => {
          /* not asked here */
        },
      })
    } finally {
      await serving
      await client.connection.close()
    }
  }

  /** A new token, as a client reads it from its file. */
  async issue (uses: number, ttlMs = 60_000, area?: string): Promise<PairingSecret> {
    const { token } = await this.tokens.create(this.id, { uses, ttlMs, area })
    return { kind: 'token', token: parseEnrollmentToken(token) }
  }
}
