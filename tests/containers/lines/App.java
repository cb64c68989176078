/** Says a few words, shows one exception and dies of another, which has causes. */
public class App {
    public static void main(String[] arguments) {
        System.out.println("open for orders");
        System.out.println("2026-11-22 12:00:00.123 [main] WARN  app.Orders - slow start");
        try {
            read(new int[0]);
        } catch (IllegalStateException error) {
            error.printStackTrace();
            throw new RuntimeException("cannot close the books", error);
        }
    }

    private static void read(int[] orders) {
        try {
            System.out.println(orders[7]);
        } catch (ArrayIndexOutOfBoundsException error) {
            throw new IllegalStateException("no order 7", error);
        }
    }
}
