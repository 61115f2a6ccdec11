import type { DeviceId } from './device-id.ts'

/** What is worth keeping for someone who asks later who got in, who did not, and who was put out. Never holds a secret. */
export type AuditEvent =
  | { readonly event: 'pair', readonly id: DeviceId, readonly area: string, readonly via: string, readonly address?: string | undefined }
  | { readonly event: 'refuse', readonly reason: string, readonly address: string, readonly id?: DeviceId | undefined }
  | { readonly event: 'open-window', readonly expiresAtMs: number }
  | { readonly event: 'make-token', readonly tokenId: string, readonly uses: number, readonly expiresAtMs: number }
  | { readonly event: 'revoke-token', readonly tokenId: string }
  | { readonly event: 'revoke', readonly id: DeviceId, readonly area: string }

/** Where events are kept, as a port. */
export interface Audit {
  record (event: AuditEvent): Promise<void>
}
