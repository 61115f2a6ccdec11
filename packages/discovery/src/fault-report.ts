import { asFileSyncError } from '@filesync/protocol'
import type { FileSyncError } from '@filesync/protocol'
import type { BusEvent } from './datagram-bus.ts'
import { linkKey } from './link.ts'
import type { Link } from './link.ts'

/** Tells each fault once, not at every datagram, and again only after the link worked in between. */
export class FaultReport {
  readonly #tell: (error: FileSyncError) => void
  readonly #failing = new Set<string>()

  constructor (tell: ((error: FileSyncError) => void) | undefined) {
    this.#tell = tell ?? (() => { /* nobody wants to know */ })
  }

  note (event: BusEvent): void {
    if (event.kind === 'fault') this.#tell(event.error)
    else if (event.kind === 'down') this.#failing.delete(linkKey(event.link))
  }

  /** Follows one sending over a link. */
  watch (link: Link, sending: Promise<void>): void {
    const key = linkKey(link)
    sending.then(() => { this.#failing.delete(key) }, (reason: unknown) => {
      if (this.#failing.has(key)) return
      this.#failing.add(key)
      this.#tell(asFileSyncError(reason, 'DISCOVERY_UNAVAILABLE'))
    })
  }
}
