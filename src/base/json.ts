/** What a JSON text has, where it is that of an object; else nothing. Foreign text: no field is sure to be there. */
export function parseJsonObject<Value extends object>(text: string): Partial<Value> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Partial<Value>) : {};
  } catch {
    return {};
  }
}
