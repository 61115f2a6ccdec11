import type { DeviceId } from './device-id.ts'
import type { TokenRecord } from './token-book.ts'

/** Who was admitted, refused and revoked, and what could admit clients. Never contains a secret. */
export type AuditEvent =
  | { readonly event: 'pair' } & AuditedPairing
  | { readonly event: 'refuse', readonly reason: string, readonly address: string, readonly id?: DeviceId | undefined }
  | { readonly event: 'open-window', readonly expiresAtMs: number, readonly area?: string | undefined }
  | { readonly event: 'make-token', readonly area?: string | undefined } & Pick<TokenRecord, 'tokenId' | 'uses' | 'expiresAtMs'>
  | { readonly event: 'revoke-token', readonly tokenId: string }
  /** `by`: the client that takes over its area. */
  | { readonly event: 'revoke', readonly id: DeviceId, readonly area: string, readonly by?: DeviceId }
  | { readonly event: 'rename', readonly id: DeviceId, readonly area: string, readonly to: string }
  | { readonly event: 'remove', readonly id: DeviceId, readonly area: string }
  | { readonly event: 'pause' | 'resume', readonly id: DeviceId, readonly area: string }
  | { readonly event: 'restore' } & AuditedRestore

interface AuditedPairing {
  readonly id: DeviceId
  readonly area: string
  readonly via: string
  readonly address?: string | undefined
  /** The area that the same key had before. */
  readonly leaves?: string
}

/** A client began to read its own files back. `files` and `bytes` are the size of the state that it asked for. */
interface AuditedRestore {
  readonly id: DeviceId
  readonly area: string
  readonly path: string
  readonly point: string | undefined
  readonly atMs: number
  readonly files: number
  readonly bytes: number
  readonly address: string
}

/** The audit log, as a port. */
export interface Audit {
  record (event: AuditEvent): Promise<void>
}
