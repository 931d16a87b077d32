/** The object in a foreign JSON text, or an empty one; any field may be missing. */
export function parseJsonObject<Value extends object>(text: string): Partial<Value> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Partial<Value>) : {};
  } catch {
    return {};
  }
}
