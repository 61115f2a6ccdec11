import { cutText, escapeLabel, LABEL_MAX_BYTES, nameKey, splitName, unescapeLabel } from './domain-name.ts'

/** RFC 6335 section 5.1: letters, digits and single hyphens within, at least one letter, at most 15 characters. */
const TYPE = /^_(?=[a-z0-9-]{1,15}\.)(?=[^.]*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*\._(?:tcp|udp)$/iu
/** A label of a host name. */
const HOST = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/iu
/** Asked by browsers that show which types there are (RFC 6763 section 9). */
export const TYPES_NAME = '_services._dns-sd._udp.local'

/** The name under which the services of a type are listed: `_ipp._tcp.local`. Throws TypeError with the name of the argument. */
export function typeName (type: unknown, argument: string): string {
  if (typeof type !== 'string' || !TYPE.test(type)) {
    throw new TypeError(`${argument} must be a service type such as "_ipp._tcp" (RFC 6335), but is ${shown(type)}.`)
  }
  return `${type}.local`
}

/** A name that people read, as the first label of an instance. Throws TypeError with the name of the argument. */
export function checkServiceName (name: unknown, argument: string): string {
  const sizeBytes = typeof name === 'string' ? new TextEncoder().encode(name).length : 0
  // eslint-disable-next-line no-control-regex -- RFC 6763 section 4.1.1 forbids them
  if (typeof name !== 'string' || sizeBytes === 0 || sizeBytes > LABEL_MAX_BYTES || /[\u0000-\u001f\u007f]/u.test(name)) {
    throw new TypeError(`${argument} must be 1 to ${LABEL_MAX_BYTES} bytes of text without control characters, but is ${shown(name)}.`)
  }
  return name
}

export function checkHostLabel (host: unknown, argument: string): string {
  if (typeof host !== 'string' || !HOST.test(host)) {
    throw new TypeError(`${argument} must be one label of letters, digits and hyphens, without ".local", but is ${shown(host)}.`)
  }
  return host
}

/** `min` is 1 except for protocols that never use privileged ports. */
export function checkPort (port: unknown, argument: string, min = 1): number {
  if (typeof port !== 'number' || !Number.isInteger(port) || port < min || port > 65_535) {
    throw new TypeError(`${argument} must be an integer from ${min} to 65535, but is ${shown(port)}.`)
  }
  return port
}

/** A wrong value in the message of an error. */
export function shown (value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)
  if (typeof value === 'number' || value === undefined || value === null || typeof value === 'boolean') return String(value)
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`
}

export function instanceName (name: string, type: string): string {
  return `${escapeLabel(name)}.${type}`
}

/** The name that people read of an instance of this type; undefined if the instance is of another type. */
export function readInstance (instance: string, type: string): string | undefined {
  const [label, ...rest] = splitName(instance)
  return label !== undefined && nameKey(rest.join('.')) === nameKey(type) ? unescapeLabel(label) : undefined
}

/** The name to try after a conflict (RFC 6762 section 9): `Printer`, `Printer (2)`, `Printer (3)`. */
export function nextName (name: string): string {
  const [, base = name, number = '1'] = /^(.*) \((\d{1,6})\)$/su.exec(name) ?? []
  const end = ` (${Number(number) + 1})`
  return cutText(base, LABEL_MAX_BYTES - end.length) + end
}

/** The same for a host: `desk`, `desk-2`. */
export function nextHost (host: string): string {
  const [, base = host, number = '1'] = /^(.*)-(\d{1,6})$/su.exec(host) ?? []
  const end = `-${Number(number) + 1}`
  return base.slice(0, LABEL_MAX_BYTES - end.length) + end
}
