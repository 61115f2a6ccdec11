/** The value of a key; if there is none yet, makes and inserts it. */
export function getOrInsert<K, V> (map: Map<K, V>, key: K, make: () => V): V {
  const value = map.get(key) ?? make()
  map.set(key, value)
  return value
}
