/** An address at which a server may be. */
export interface ServerCandidate {
  readonly address: string
  readonly port: number
  /** Given by the user, remembered from the last session, or received as an offer. */
  readonly origin: 'given' | 'remembered' | 'offered'
  /** The device id prefix that an offer claims. */
  readonly idPrefix?: string
}
