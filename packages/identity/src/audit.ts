import type { DeviceId } from './device-id.ts'

/** Who was admitted, refused and revoked, and what could admit clients. Never contains a secret. */
export type AuditEvent =
  | { readonly event: 'pair', readonly id: DeviceId, readonly area: string, readonly via: string, readonly address?: string | undefined }
  | { readonly event: 'refuse', readonly reason: string, readonly address: string, readonly id?: DeviceId | undefined }
  | { readonly event: 'open-window', readonly expiresAtMs: number }
  | { readonly event: 'make-token', readonly tokenId: string, readonly uses: number, readonly expiresAtMs: number }
  | { readonly event: 'revoke-token', readonly tokenId: string }
  | { readonly event: 'revoke', readonly id: DeviceId, readonly area: string }

/** The audit log, as a port. */
export interface Audit {
  record (event: AuditEvent): Promise<void>
}
