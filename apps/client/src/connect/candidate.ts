/** Where a server may be. */
export interface Candidate {
  readonly address: string
  readonly port: number
  /** From the configuration, remembered from the last session, or heard as an offer. */
  readonly origin: 'given' | 'remembered' | 'offered'
  /** First symbols of the device id that an offer claims. */
  readonly idPrefix?: string
}
