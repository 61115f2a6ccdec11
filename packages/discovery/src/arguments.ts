import { parseAddress } from './address.ts'
import type { LinkChoice } from './link.ts'
import { shown } from './dns-sd/service-type.ts'

/** What most functions of this package take. */
export interface CommonInit extends LinkChoice {
  readonly signal?: AbortSignal | undefined
  readonly onProblem?: ((error: never) => void) | undefined
}

/** Refuses what would otherwise fail later, or never be noticed. `caller` starts the message. Throws TypeError. */
export function checkCommon (init: CommonInit, caller: string): void {
  if (typeof init !== 'object' || (init as unknown) === null) throw new TypeError(`${caller} takes an object, but got ${shown(init)}.`)
  const { interfaces, bind, signal, onProblem } = init
  if (interfaces !== undefined && !(Array.isArray(interfaces) && interfaces.every(name => typeof name === 'string' && name !== ''))) {
    throw new TypeError(`${caller}: interfaces must be an array of names, but is ${shown(interfaces)}.`)
  }
  if (bind !== undefined && (typeof bind !== 'string' || parseAddress(bind) === undefined)) {
    throw new TypeError(`${caller}: bind must be an IP address, but is ${shown(bind)}.`)
  }
  if (signal !== undefined && !(typeof signal === 'object' && 'aborted' in signal)) {
    throw new TypeError(`${caller}: signal must be an AbortSignal, but is ${shown(signal)}.`)
  }
  checkCallback(onProblem, `${caller}: onProblem`)
}

export function checkCallback (callback: unknown, argument: string): void {
  if (callback === undefined || typeof callback === 'function') return
  throw new TypeError(`${argument} must be a function, but is ${shown(callback)}.`)
}

export function checkChoice (value: unknown, argument: string, choices: readonly string[]): void {
  if (typeof value !== 'string' || !choices.includes(value)) {
    throw new TypeError(`${argument} must be one of ${choices.map(choice => `"${choice}"`).join(', ')}, but is ${shown(value)}.`)
  }
}
