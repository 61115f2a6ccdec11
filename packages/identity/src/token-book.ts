import { FileSyncError, toHex } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import type { Audit } from './audit.ts'
import type { PairingCrypto } from './crypto-port.ts'
import type { DeviceId } from './device-id.ts'
import { formatEnrollmentToken, makeEnrollmentToken } from './enrollment-token.ts'
import { tokenId, tokenKey } from './proof.ts'
import { pairingRefused } from './pairing-refusal.ts'
import type { RecordStore } from './record-store.ts'

/** An enrollment token as stored by the server. Only the token itself contains the secret. */
export interface TokenRecord {
  /** 16 hexadecimal digits. */
  readonly tokenId: string
  /** The key for proofs: 64 hexadecimal digits. */
  readonly key: string
  /** How many clients it may admit. */
  readonly uses: number
  /** The clients that it has admitted; a client takes one use, however often it pairs. */
  readonly usedBy: readonly DeviceId[]
  readonly createdAtMs: number
  readonly expiresAtMs: number
  /** The area that the client takes over; absent if it gets a new one. */
  readonly area?: string | undefined
}

export interface TokenTerms {
  /** 1 if `area` is given. */
  readonly uses: number
  /** The area that the client takes over, as {@link findArea} found it. */
  readonly area?: string | undefined
  readonly ttlMs: number
}

export interface TokenBookInit {
  readonly crypto: PairingCrypto
  readonly clock: Clock
  readonly audit: Audit
}

/** The enrollment tokens of a server, in any store. Each is in the audit log before it can admit a client. */
export class TokenBook {
  readonly #store: RecordStore<TokenRecord>
  readonly #crypto: PairingCrypto
  readonly #clock: Clock
  readonly #audit: Audit

  constructor (store: RecordStore<TokenRecord>, { crypto, clock, audit }: TokenBookInit) {
    this.#audit = audit
    this.#store = store
    this.#crypto = crypto
    this.#clock = clock
  }

  async list (): Promise<readonly TokenRecord[]> {
    return await this.#store.read()
  }

  /** Creates a token. Its text is returned this once and stored nowhere. Removes expired tokens. Throws USAGE. */
  async create (serverId: DeviceId, terms: TokenTerms): Promise<{ readonly token: string, readonly record: TokenRecord }> {
    if (!Number.isSafeInteger(terms.uses) || terms.uses < 1) throw new FileSyncError('USAGE', 'A token must have at least one use.')
    if (!Number.isSafeInteger(terms.ttlMs) || terms.ttlMs < 1) throw new FileSyncError('USAGE', 'A token must have a time to live.')
    if (terms.area !== undefined && terms.uses !== 1) {
      throw new FileSyncError('USAGE', 'A token for the area of one client has exactly one use. Leave --uses out.')
    }
    const nowMs = this.#clock.nowMs()
    const token = makeEnrollmentToken(this.#crypto, serverId)
    const record: TokenRecord = {
      tokenId: toHex(tokenId(this.#crypto, token.secret)), key: toHex(tokenKey(this.#crypto, token.secret)),
      uses: terms.uses, usedBy: [], createdAtMs: nowMs, expiresAtMs: nowMs + terms.ttlMs,
      ...(terms.area !== undefined && { area: terms.area }),
    }
    await this.#store.change(tokens => ({
      records: [...tokens.filter(other => other.expiresAtMs > nowMs), record],
      result: undefined,
      before: async () => {
        const { tokenId, uses, expiresAtMs, area } = record
        await this.#audit.record({ event: 'make-token', tokenId, uses, expiresAtMs, ...(area !== undefined && { area }) })
      },
    }))
    return { token: formatEnrollmentToken(token), record }
  }

  /** Revokes a token. The clients that it admitted stay paired. Throws USAGE if there is no such token. */
  async revoke (id: string): Promise<TokenRecord> {
    const revoked = await this.#store.change(tokens => {
      const token = tokens.find(candidate => candidate.tokenId === id.toLowerCase())
      if (token === undefined) throw new FileSyncError('USAGE', `There is no token ${id}. "filesync-server token list" lists the tokens.`)
      return { records: tokens.filter(other => other !== token), result: token }
    })
    await this.#audit.record({ event: 'revoke-token', tokenId: revoked.tokenId })
    return revoked
  }

  /** The token with this id if it would admit this client now, or undefined. */
  async find (id: Uint8Array, client: DeviceId): Promise<TokenRecord | undefined> {
    const nowMs = this.#clock.nowMs()
    const token = (await this.#store.read()).find(candidate => candidate.tokenId === toHex(id))
    return token !== undefined && admits(token, client, nowMs) ? token : undefined
  }

  /**
   * Takes one use for a client, but no second one for the same client; durable when it resolves. Resolves to whether the client had
   * its use before. Throws PAIRING_REFUSED.
   */
  async spend (id: string, client: DeviceId): Promise<boolean> {
    const nowMs = this.#clock.nowMs()
    return await this.#store.change(tokens => {
      const token = tokens.find(candidate => candidate.tokenId === id)
      if (token === undefined || !admits(token, client, nowMs)) {
        throw pairingRefused('the token is used up, expired or revoked')
      }
      if (token.usedBy.includes(client)) return { records: tokens, result: true }
      const spent = { ...token, usedBy: [...token.usedBy, client] }
      return { records: tokens.map(other => other === token ? spent : other), result: false }
    })
  }
}

function admits (token: TokenRecord, client: DeviceId, nowMs: number): boolean {
  return nowMs < token.expiresAtMs && (token.usedBy.length < token.uses || token.usedBy.includes(client))
}
