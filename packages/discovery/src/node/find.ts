import type { Clock, FileSyncError } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { checkCommon } from '../arguments.ts'
import type { LinkChoice } from '../link.ts'
import { findServices } from '../dns-sd/find-services.ts'
import type { ServiceEvent } from '../dns-sd/find-services.ts'
import { typeName } from '../dns-sd/service-type.ts'
import { groupOf } from './groups.ts'
import type { MulticastGroup } from './groups.ts'
import { holdProcess } from './hold-process.ts'
import { openMulticastBus } from './multicast-bus.ts'

export interface FindInit extends LinkChoice {
  /** `_ipp._tcp` */
  readonly type: string
  /** The group of multicast DNS by default. */
  readonly group?: MulticastGroup | undefined
  /** The system's clock by default. */
  readonly clock?: Clock | undefined
  /** Ends the search. */
  readonly signal?: AbortSignal | undefined
  /** Called with DISCOVERY_UNAVAILABLE for an interface that cannot be used, once per cause; the others keep working. */
  readonly onProblem?: ((error: FileSyncError) => void) | undefined
}

/**
 * Finds the services of a type by DNS-SD (RFC 6763, RFC 6762) on the interfaces of this machine, and follows them: yields `up`,
 * `changed` and `gone` until the signal is aborted or the loop is left. If no interface can be used, it waits for one, and
 * `onProblem` reports why. Keeps the process running. A result is a hint and proves nothing. Throws TypeError.
 */
export function find (init: FindInit): AsyncGenerator<ServiceEvent, void, undefined> {
  checkCommon(init, 'find')
  typeName(init.type, 'find: type')
  groupOf(init.group, 'find')
  return search(init)
}

async function * search (init: FindInit): AsyncGenerator<ServiceEvent, void, undefined> {
  const { type, clock = systemClock, interfaces, bind, onProblem, signal = new AbortController().signal } = init
  if (signal.aborted) return
  const group = groupOf(init.group, 'find')
  const release = holdProcess()
  try {
    const bus = await openMulticastBus({ group, role: 'listen', choice: { interfaces, bind }, clock })
    yield * findServices({ bus, type, clock, signal, onProblem, groupPort: group.port, random: Math.random })
  } finally {
    release()
  }
}
