"""The product driven from outside, by its public interface alone."""
