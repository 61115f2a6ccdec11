import { encodeOffer } from '@filesync/protocol'
import type { Clock, DiscoverV1, DiscoverV2, FileSyncError } from '@filesync/protocol'
import type { DatagramBus } from './datagram-bus.ts'
import { FaultReport } from './fault-report.ts'
import { readBus } from './read-bus.ts'
import { ReplyPolicy } from './reply-policy.ts'

/** What a server announces about itself. */
export interface Advertised {
  /** TCP port of the TLS protocol. */
  readonly tlsPort: number
  /** TCP port of the original's protocol, where it is spoken; only then are the original's questions answered. */
  readonly legacyPort?: number | undefined
  /** First 16 symbols of the device id. */
  readonly idPrefix: string
  /** Whether the server pairs now; asked before each answer. */
  isPairing (): boolean
}

export interface AnnounceInit extends Advertised {
  /** Taken over, and closed at the end. */
  readonly bus: DatagramBus
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Called with DISCOVERY_UNAVAILABLE for a link that cannot be used or an answer that cannot be sent, once per cause. */
  readonly onProblem?: ((error: FileSyncError) => void) | undefined
}

/**
 * Answers the questions that {@link ReplyPolicy} lets through, each by one unicast datagram from the link that heard it,
 * until the signal is aborted.
 */
export async function announce (init: AnnounceInit): Promise<void> {
  const { bus, clock } = init
  const policy = new ReplyPolicy({ legacy: init.legacyPort !== undefined })
  const faults = new FaultReport(init.onProblem)
  await readBus(bus, init.signal, event => {
    faults.note(event)
    if (event.kind !== 'datagram') return
    const judgment = policy.judge(event, clock.monotonicMs())
    if (judgment.answer) faults.watch(event.link, bus.send(answerTo(judgment.question, init), event.link, event.source))
  })
}

function answerTo (question: DiscoverV1 | DiscoverV2, advertised: Advertised): Uint8Array {
  const legacyPort = advertised.legacyPort ?? 0
  if (question.v === 1) return encodeOffer({ v: 1, legacyPort })
  const { tlsPort, idPrefix } = advertised
  return encodeOffer({ v: 2, legacyPort, tlsPort, idPrefix, nonce: question.nonce, pairing: advertised.isPairing() })
}
